"""Composition root of the worker: who is recorded, by which job, and how a job begins and ends.

Job processes import this module by name, so importing it does nothing but define.
"""

import asyncio
import errno
import math
import os
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from functools import partial
from importlib import import_module
from time import monotonic

import structlog
from livekit.agents import (
    AgentServer,
    JobContext,
    JobExecutorType,
    JobProcess,
    JobRequest,
    WorkerPermissions,
)

from agent.allowance import Allowance
from agent.capacity import Capacity, Meter
from agent.clock import clock
from agent.duty import Duty
from agent.health import Health
from agent.http_server import served
from agent.late_words import keep_transcribing_late
from agent.logs import configure_process
from agent.metrics import Metrics
from agent.recognition import Recogniser
from agent.reconciler import Reconciler
from agent.recorder import WORKER, Recorder, worker_name
from agent.replay import keep_replaying
from agent.room import RoomRecording
from agent.session.errors import ServiceNotStarted, what_failed
from agent.session.rooms import session_info
from agent.settings import Settings, settings_from_environment
from agent.watch import Watch
from agent.webhooks import Webhook
from db import fleet
from db.pool import Pool, open_pool
from db.sessions import purge_journal

log = structlog.stdlib.get_logger()

# LiveKit sends a worker no rooms above this load, and drops the room without a word when all are above it.
TARGET_LOAD = 0.7
FRAMEWORK_DEFAULTS = {
    # Models for turn detection: 244 MB that a recorder has no use for.
    "LIVEKIT_AGENTS_PRELOAD_LOCAL_INFERENCE": "0",
    # A watchdog of the event loop wakes each process 100 times a second: 2 % of a core, idle ones included.
    "LIVEKIT_AGENTS_LOOP_BLOCK_WARN_MS": "0",
}
PRELOAD = "agent.preload"
PURGE_SECONDS = 3600.0
START_SECONDS = 120.0  # for LiveKit to be there; one that goes away later is awaited for ever

_recordings: dict[str, AsyncExitStack] = {}  # by job id: what ends a job's recording


def build_server(
    settings: Settings,
    accepted: dict[str, float],
    duty: Duty,
    metrics: Metrics,
    capacity: Capacity,
    *,
    health_host: str = "",
) -> AgentServer:
    """The worker: hidden, data only, dispatched automatically, warm for the next room.

    `accepted` is told when a room was accepted (`monotonic` seconds, by room sid).
    """
    for name, value in FRAMEWORK_DEFAULTS.items():
        os.environ.setdefault(name, value)
    server = AgentServer(
        ws_url=settings.livekit_url,
        api_key=settings.livekit_api_key,
        api_secret=settings.livekit_api_secret.get_secret_value(),
        permissions=WorkerPermissions(
            hidden=True,
            can_publish=False,
            can_subscribe=True,
            can_publish_data=True,
            can_update_metadata=False,
        ),
        load_fnc=partial(_load, capacity, duty),
        max_retry=sys.maxsize,  # after its 16 attempts, two minutes, the framework would never register again
        load_threshold=math.inf,  # ours to say no would lose the room; `_load` tells LiveKit to ask another
        job_executor_type=JobExecutorType(settings.recorder_jobs),
        num_idle_processes=settings.recorder_idle_processes,
        setup_fnc=_set_up_process,
        preload_modules=[PRELOAD],
        host=health_host,
        port=settings.recorder_health_port,
        log_level=settings.recorder_log_level.replace("WARNING", "WARN"),
    )
    server.rtc_session(
        record,
        on_request=partial(_accept_coaching_rooms, settings.recorder_room_prefix, accepted, metrics),
        on_session_end=finish,
    )
    return server


@asynccontextmanager
async def running(
    settings: Settings, *, health_host: str = ""
) -> AsyncIterator[Callable[[], Awaitable[None]]]:
    """A registered worker with its housekeeping; closed, with every session saved, at the end.

    What it gives lets the sessions of the worker end first.
    """
    os.environ.update(settings.as_environment())  # job processes read their settings from there
    os.environ.pop(WORKER, None)
    worker = worker_name()  # and whose they are
    if settings.recorder_jobs == "thread":
        import_module(PRELOAD)
    accepted: dict[str, float] = {}
    duty, metrics, capacity = Duty(), Metrics(), Capacity(settings.recorder_max_rooms, Meter().cores)
    server = build_server(settings, accepted, duty, metrics, capacity, health_host=health_host)
    registered = asyncio.Event()
    server.on("worker_registered", lambda *_: registered.set())
    async with AsyncExitStack() as stack:
        pool = await open_pool(settings.database_url.get_secret_value(), max_size=4, name=worker)
        stack.push_async_callback(pool.close)
        reconciler = Reconciler(server, pool, settings, worker, accepted, duty, metrics, capacity)
        webhook = Webhook(settings, reconciler.look_now, metrics)
        watch = Watch(server, pool, worker, reconciler, duty, capacity, settings)
        health = Health(settings, server, duty, pool, metrics, capacity)
        await stack.enter_async_context(served(settings, [webhook.route, *health.routes]))
        running_server = asyncio.create_task(server.run(devmode=False))
        housekeeping = [
            asyncio.create_task(keep_replaying(pool, settings.recorder_spool_dir)),
            asyncio.create_task(keep_transcribing_late(settings, pool, worker)),
            asyncio.create_task(_keep_purging(pool)),
        ]
        try:
            waiting = asyncio.create_task(registered.wait())
            await asyncio.wait(
                {running_server, waiting}, timeout=START_SECONDS, return_when=asyncio.FIRST_COMPLETED
            )
            waiting.cancel()
            if not registered.is_set():
                raise _why_it_did_not_start(running_server, settings)
            housekeeping += [
                asyncio.create_task(watch.keep()),
                asyncio.create_task(reconciler.keep_reconciling()),
            ]
            log.info("worker_ready", max_rooms=capacity.rooms, room_prefix=settings.recorder_room_prefix)
            yield partial(duty.drain, server, reconciler.starting)
        finally:
            await server.aclose()
            for task in housekeeping:
                task.cancel()
            await asyncio.gather(*housekeeping, running_server, return_exceptions=True)
            with suppress(Exception):
                await fleet.retire(pool, worker)


def _why_it_did_not_start(server: asyncio.Task[None], settings: Settings) -> ServiceNotStarted:
    error = server.exception() if server.done() else TimeoutError()
    if isinstance(error, OSError) and error.errno == errno.EADDRINUSE:
        return ServiceNotStarted(
            f"port {settings.recorder_health_port} is taken: set RECORDER_HEALTH_PORT (0 = any free one)"
        )
    return ServiceNotStarted(
        f"the worker could not register with LiveKit ({type(error).__name__}): see `python -m agent doctor`"
    )


async def record(ctx: JobContext) -> None:
    """A job begins: join the room and record it until `finish`."""
    clock.set()  # this process may have waited for hours
    settings = settings_from_environment()
    room = ctx.job.room
    info, problems = session_info(room.name, room.sid, room.metadata, settings.recorder_room_prefix)
    ctx.log_context_fields = {"room": room.name, "room_sid": room.sid, "session_id": str(info.session_id)}
    for problem in problems:
        log.warning("room_metadata_ignored", problem=problem)
    async with AsyncExitStack() as stack:
        pool = await open_pool(settings.database_url.get_secret_value())
        stack.push_async_callback(pool.close)
        recogniser: Recogniser = ctx.proc.userdata["recogniser"]
        stack.push_async_callback(recogniser.aclose)
        spool_dir = settings.recorder_spool_dir
        allowance = Allowance(spool_dir, settings.recorder_spool_mb * 1_000_000, "RECORDER_SPOOL_MB")
        recorder = Recorder(info, pool, spool_dir, allowance=allowance)
        recording = RoomRecording(ctx, recorder, recogniser, settings)
        if await recording.begin():
            stack.push_async_callback(recording.end)
            _recordings[ctx.job.id] = stack.pop_all()
            log.info("recording_began", pid=os.getpid())
            return
    ctx.shutdown("nothing to record")


async def finish(ctx: JobContext) -> None:
    """A job ends: LiveKit closed the room, or the worker is told to stop."""
    if stack := _recordings.pop(ctx.job.id, None):
        await stack.aclose()


async def _accept_coaching_rooms(
    prefix: str, accepted: dict[str, float], metrics: Metrics, request: JobRequest
) -> None:
    """Answers at once: LiveKit waits no more than 3 s, and a room that nobody answered for is lost."""
    if request.room.name.startswith(prefix):
        accepted[request.room.sid] = monotonic()
        metrics.recorders_started.labels("livekit").inc()
        await request.accept()
    else:
        await request.reject(terminate=False)


def _load(capacity: Capacity, duty: Duty, server: AgentServer) -> float:
    """Share of the rooms that we take; above LiveKit's target only when no more are to come."""
    rooms = len(server.active_jobs)
    if not (duty.takes_rooms and capacity.takes(rooms, others_ready=duty.others_ready)):
        return 1.0
    return TARGET_LOAD * rooms / max(capacity.rooms, rooms + 1)


def _set_up_process(process: JobProcess) -> None:
    """What would hold up a job's event loop (certificates take 0.1 s to load) is done while none waits."""
    settings = settings_from_environment()
    if process.executor_type is JobExecutorType.PROCESS:
        configure_process(settings.recorder_log_level)
    process.userdata["recogniser"] = recogniser = Recogniser(settings)
    recogniser.prepare()


async def _keep_purging(pool: Pool) -> None:
    """Forget the journals of long finished sessions, every hour."""
    while True:
        try:
            await purge_journal(pool)
        except Exception as error:
            log.warning("purge_failed", **what_failed(error))
        await asyncio.sleep(PURGE_SECONDS)
