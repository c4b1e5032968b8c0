"""A worker's signs of life, and its watch over the machine and its jobs: one that died leaves its session."""

import asyncio
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import structlog
from livekit.agents import AgentServer
from livekit.protocol.models import Room

from agent.capacity import Capacity, Meter
from agent.duty import Duty
from agent.launcher import Launcher
from agent.metrics import on_disk
from agent.reconciler import Reconciler
from agent.session.errors import what_failed
from agent.settings import Settings
from agent.supervision import Supervision
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
    launcher: Launcher
    duty: Duty
    capacity: Capacity
    settings: Settings
    _disk: dict[str, Any] = field(default_factory=dict)

    def keep(self, tasks: Supervision) -> None:
        """Say every second that we live, look for jobs that went without letting go, measure what we tell."""
        tasks.keep("beating", self._keep_beating)
        tasks.keep("measuring_disk", self._keep_measuring_disk)
        if not self.capacity.setting:
            tasks.keep("measuring_machine", self._keep_measuring_machine)

    async def _keep_beating(self) -> None:
        before: dict[str, Room] = {}  # of each job
        away = False
        while True:
            now = {job.job.id: job.job.room for job in self.server.active_jobs}
            names = {room.name for room in now.values()}
            gone = [room for job_id, room in before.items() if job_id not in now and room.name not in names]
            try:
                await self._beat(len(now), gone)
            except Exception as error:
                if not away:
                    log.warning("sign_of_life_failed", **what_failed(error))
                self.duty.note_others(None)
                away = True
            else:
                before, away = now, False
                if gone:
                    self.reconciler.jobs_gone(room.sid for room in gone)
            await asyncio.sleep(fleet.BEAT_SECONDS)

    async def _beat(self, rooms: int, gone: Iterable[Room]) -> None:
        """One sign of life; the sessions of jobs that are gone are anybody's."""
        most, draining = self.capacity.rooms, self.duty.draining
        told = {
            "max_rooms": most,
            "draining": draining,
            "dispatch": self.settings.recorder_dispatch,
            "disk": self._disk,
            **self.reconciler.report(),
        }
        ready = not draining and rooms < most
        others = await fleet.beat(self.pool, self.worker, rooms, ready=ready, report=told)
        self.duty.note_others(others)
        await self.launcher.tell_others(self.pool, self.worker)
        for room in gone:
            await fleet.revoke_of_job(self.pool, self.worker, room.name, room.sid)

    async def _keep_measuring_disk(self) -> None:
        """In its own time: a disk that hangs or refuses must not keep us from saying that we live."""
        while True:
            with suppress(Exception):
                self._disk.update(await asyncio.to_thread(on_disk, self.settings.recorder_spool_dir))
            await asyncio.sleep(MEASURE_SECONDS)

    async def _keep_measuring_machine(self) -> None:
        meter = Meter()
        while True:
            rooms = len(self.server.active_jobs)
            with suppress(Exception):  # what cannot be measured stays as it was expected
                used = await asyncio.to_thread(meter.cores_used)
                if used and rooms == len(self.server.active_jobs):
                    self.capacity.measured(rooms, *used)
            await asyncio.sleep(MEASURE_SECONDS)
