"""A worker's signs of life, and its watch over the machine and its jobs: one that died leaves its session."""

import asyncio
from collections.abc import Mapping
from contextlib import suppress
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


async def keep_watch(
    server: AgentServer,
    pool: Pool,
    worker: str,
    reconciler: Reconciler,
    duty: Duty,
    capacity: Capacity,
    settings: Settings,
) -> None:
    """Say every second that we live, and look for jobs that went without letting go; until cancelled."""
    disk: dict[str, Any] = {}
    async with asyncio.TaskGroup() as group:
        group.create_task(_keep_measuring_disk(settings.recorder_spool_dir, disk))
        group.create_task(_keep_measuring_machine(server, capacity))
        await _keep_beating(server, pool, worker, reconciler, duty, capacity, disk)


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


async def _keep_beating(
    server: AgentServer,
    pool: Pool,
    worker: str,
    reconciler: Reconciler,
    duty: Duty,
    capacity: Capacity,
    disk: Mapping[str, Any],
) -> None:
    before: dict[str, Room] = {}  # of each job
    away = False
    while True:
        now = {job.job.id: job.job.room for job in server.active_jobs}
        names = {room.name for room in now.values()}
        gone = [room for job_id, room in before.items() if job_id not in now and room.name not in names]
        try:
            ready = not duty.draining and len(now) < capacity.rooms
            about = {"max_rooms": capacity.rooms, "draining": duty.draining, "disk": disk}
            told = {**about, **reconciler.report()}
            others = await fleet.beat(pool, worker, len(now), ready=ready, report=told)
            duty.note_others(ready=others)
            await reconciler.tell_others()
            for room in gone:
                await fleet.revoke_of_job(pool, worker, room.name, room.sid)
        except Exception as error:
            if not away:
                log.warning("sign_of_life_failed", **what_failed(error))
            duty.note_others(ready=False)  # nobody knows
            away = True
        else:
            before, away = now, False
            if gone:
                reconciler.jobs_gone(room.sid for room in gone)
        await asyncio.sleep(fleet.BEAT_SECONDS)
