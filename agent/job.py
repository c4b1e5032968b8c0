"""How a job begins and ends: one room, recorded in a process or a thread of its own.

Job processes import this module by name, so importing it does nothing but define.
"""

import asyncio
import os
from contextlib import AsyncExitStack, suppress
from functools import cache

import structlog
from livekit.agents import JobContext, JobExecutorType, JobProcess

from agent.allowance import Allowance
from agent.clock import clock
from agent.logs import configure_process
from agent.recognition import Recogniser
from agent.recorder import Recorder
from agent.room import RoomRecording
from agent.session.rooms import SessionInfo, names_another, session_info
from agent.settings import settings_from_environment
from db.binding import bound
from db.pool import Pool, open_pool

log = structlog.stdlib.get_logger()

ANSWER_SECONDS = 0.5  # for the database to say whose the room is; who waits longer hears people late

_recordings: dict[str, AsyncExitStack] = {}  # by job id: what ends a job's recording


@cache
def prepared_recogniser() -> Recogniser:
    """For a process with one event loop: those that are forked share most of it."""
    return _recogniser()


def set_up_process(process: JobProcess) -> None:
    """What would hold up a job's event loop (certificates take 0.1 s to load) is done while none waits."""
    own_process = process.executor_type is JobExecutorType.PROCESS
    if own_process:
        configure_process(settings_from_environment().recorder_log_level)
    process.userdata["recogniser"] = prepared_recogniser() if own_process else _recogniser()


async def record(ctx: JobContext) -> None:
    """A job begins: join the room and record it until `finish`."""
    clock.set()  # this process may have waited for hours
    settings = settings_from_environment()
    room = ctx.job.room
    told, problems = session_info(
        room.name,
        room.sid,
        room.metadata,
        settings.recorder_room_prefix,
        settings.web_user_id_namespace,
    )
    async with AsyncExitStack() as stack:
        pool = await open_pool(settings.database_url.get_secret_value())
        stack.push_async_callback(pool.close)
        info = await _bound(pool, told)
        ctx.log_context_fields = {"room": room.name, "room_sid": room.sid, "session_id": str(info.session_id)}
        for problem in [*problems, *names_another(told, info.session_id)]:
            log.warning("room_metadata_ignored", problem=problem)
        recogniser: Recogniser = ctx.proc.userdata["recogniser"]
        stack.push_async_callback(recogniser.aclose)
        spool_dir = settings.recorder_spool_dir
        allowance = Allowance(spool_dir, settings.recorder_spool_mb * 1_000_000, "RECORDER_SPOOL_MB")
        recorder = Recorder(info, pool, spool_dir, allowance=allowance)
        recording = RoomRecording(ctx, recorder, recogniser, settings, pool)
        if await recording.begin():
            stack.push_async_callback(recording.end)
            _recordings[ctx.job.id] = stack.pop_all()
            log.info("recording_began", pid=os.getpid())
            return
    ctx.shutdown("nothing to record")


async def _bound(pool: Pool, info: SessionInfo) -> SessionInfo:
    """With the session of the room. A database that is away is asked again when the session is claimed."""
    with suppress(Exception):
        async with asyncio.timeout(ANSWER_SECONDS):
            return await bound(pool, info)
    return info


async def finish(ctx: JobContext) -> None:
    """A job ends: LiveKit closed the room, or the worker is told to stop."""
    if stack := _recordings.pop(ctx.job.id, None):
        await stack.aclose()


def _recogniser() -> Recogniser:
    recogniser = Recogniser(settings_from_environment())
    recogniser.prepare()
    return recogniser
