"""A worker's signs of life, and its watch over the machine and its jobs: one that died leaves its session."""

import asyncio
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import structlog
from livekit.agents import AgentServer
from livekit.protocol.models import Room

from agent.capacity import Capacity, Meter
from agent.duty import Duty
from agent.metrics import on_disk
from agent.reconciler import Reconciler
from agent.session.errors import what_failed
from agent.settings import Settings
from db import fleet
from db.pool import Pool

log = structlog.stdlib.get_logger()

MEASURE_SECONDS = 5.0  # between looks at what waits on disk, and at how busy the machine is


@dataclass(frozen=True, slots=True)
class Watch:
    """What a worker tells the others of itself, and from what it knows it."""

    server: AgentServer
    pool: Pool
    worker: str
    reconciler: Reconciler
    duty: Duty
    capacity: Capacity
    settings: Settings

    async def keep(self) -> None:
        """Say every second that we live, and look for jobs that went without letting go; until cancelled."""
        disk: dict[str, Any] = {}
        async with asyncio.TaskGroup() as group:
            group.create_task(_keep_measuring_disk(self.settings.recorder_spool_dir, disk))
            if not self.capacity.setting:
                group.create_task(_keep_measuring_machine(self.server, self.capacity))
            await self._keep_beating(disk)

    async def _keep_beating(self, disk: Mapping[str, Any]) -> None:
        before: dict[str, Room] = {}  # of each job
        away = False
        while True:
            now = {job.job.id: job.job.room for job in self.server.active_jobs}
            names = {room.name for room in now.values()}
            gone = [room for job_id, room in before.items() if job_id not in now and room.name not in names]
            try:
                await self._beat(len(now), disk, gone)
            except Exception as error:
                if not away:
                    log.warning("sign_of_life_failed", **what_failed(error))
                self.duty.note_others(ready=False)  # nobody knows
                away = True
            else:
                before, away = now, False
                if gone:
                    self.reconciler.jobs_gone(room.sid for room in gone)
            await asyncio.sleep(fleet.BEAT_SECONDS)

    async def _beat(self, rooms: int, disk: Mapping[str, Any], gone: Iterable[Room]) -> None:
        """One sign of life; the sessions of jobs that are gone are anybody's."""
        most, draining = self.capacity.rooms, self.duty.draining
        told = {"max_rooms": most, "draining": draining, "disk": disk, **self.reconciler.report()}
        ready = not draining and rooms < most
        others = await fleet.beat(self.pool, self.worker, rooms, ready=ready, report=told)
        self.duty.note_others(ready=others)
        await self.reconciler.tell_others()
        for room in gone:
            await fleet.revoke_of_job(self.pool, self.worker, room.name, room.sid)


async def _keep_measuring_disk(spool_dir: Path, disk: dict[str, Any]) -> None:
    """In its own time: a disk that hangs or refuses must not keep us from saying that we live."""
    while True:
        with suppress(Exception):
            disk.update(await asyncio.to_thread(on_disk, spool_dir))
        await asyncio.sleep(MEASURE_SECONDS)


async def _keep_measuring_machine(server: AgentServer, capacity: Capacity) -> None:
    meter = Meter()
    while True:
        rooms = len(server.active_jobs)
        with suppress(Exception):  # what cannot be measured stays as it was expected
            used = await asyncio.to_thread(meter.cores_used)
            if used and rooms == len(server.active_jobs):
                capacity.measured(rooms, *used)
        await asyncio.sleep(MEASURE_SECONDS)
