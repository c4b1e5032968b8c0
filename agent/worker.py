"""Composition root of the worker: which rooms it takes, and what it does beside recording them."""

import asyncio
import errno
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager, suppress
from functools import partial
from importlib import import_module
from pathlib import Path

import structlog

from agent import fork_server
from agent.agent_server import PRELOAD, build_server
from agent.arrivals import Arrivals
from agent.audio_files import audio_folder
from agent.capacity import Capacity, Meter
from agent.duty import Duty
from agent.health import Health
from agent.holding import WORKER, worker_name
from agent.http_server import served
from agent.late_words import keep_transcribing_late
from agent.launcher import Launcher
from agent.metrics import Metrics
from agent.private import close_to_others
from agent.reconciler import Reconciler
from agent.replay import keep_replaying
from agent.session.errors import ServiceNotStarted, what_failed
from agent.settings import Settings, settings_from_environment
from agent.supervision import Supervision
from agent.watch import Watch
from agent.webhooks import Webhook
from db import fleet
from db.pool import Pool, open_pool
from db.sessions import purge_journal
from db.visits import note_visit

log = structlog.stdlib.get_logger()

FRAMEWORK_DEFAULTS = {
    # Models for turn detection: 244 MB that a recorder has no use for.
    "LIVEKIT_AGENTS_PRELOAD_LOCAL_INFERENCE": "0",
    # A watchdog of the event loop wakes each process 100 times a second: 2 % of a core, idle ones included.
    "LIVEKIT_AGENTS_LOOP_BLOCK_WARN_MS": "0",
}
PURGE_SECONDS = 3600.0
START_SECONDS = 120.0  # for LiveKit to be there; one that goes away later is awaited for ever


def prepare(settings: Settings) -> None:
    """Load what jobs need and begin what forks them: before there is a thread or an event loop."""
    for name, value in FRAMEWORK_DEFAULTS.items():
        os.environ.setdefault(name, value)
    os.environ.update(settings.as_environment())  # jobs read their settings from there
    settings_from_environment.cache_clear()
    settings_from_environment()
    os.environ.pop("LIVEKIT_AGENT_NAME", None)  # another agent's: ours is RECORDER_DISPATCH's to say
    os.environ.pop(WORKER, None)
    worker_name()  # and whose they are
    import_module(PRELOAD)
    if settings.recorder_jobs == "process":
        fork_server.start()


@asynccontextmanager
async def running(settings: Settings) -> AsyncIterator[Callable[[], Awaitable[None]]]:
    """A registered worker with its housekeeping; closed, with every session saved, at the end.

    Call `prepare` before. What it gives lets the sessions of the worker end first.
    """
    worker = worker_name()
    await asyncio.to_thread(_close_folders, settings.recorder_spool_dir)
    accepted: dict[str, float] = {}
    duty, metrics, capacity = Duty(), Metrics(), Capacity(settings.recorder_max_rooms, Meter().cores)
    server = build_server(settings, accepted, duty, metrics, capacity)
    registered = asyncio.Event()
    server.on("worker_registered", lambda *_: registered.set())
    async with AsyncExitStack() as stack:
        pool = await open_pool(settings.database_url.get_secret_value(), max_size=4, name=worker)
        stack.push_async_callback(pool.close)
        tasks = Supervision(lambda name: metrics.task_restarts.labels(name).inc())
        launcher = Launcher(server, settings, accepted, duty, capacity, metrics)
        reconciler = Reconciler(launcher, pool, settings, worker, duty, metrics)
        arrivals = Arrivals(launcher, pool, settings, worker, duty)
        watch = Watch(server, pool, worker, reconciler, launcher, duty, capacity, settings)
        health = Health(settings, server, duty, pool, metrics, capacity, tasks)

        def look_now() -> None:
            arrivals.look_now()
            reconciler.look_now()

        webhook = Webhook(settings, look_now, metrics, partial(note_visit, pool))
        await stack.enter_async_context(served(settings, [webhook.route, *health.routes]))
        running_server = asyncio.create_task(server.run(devmode=False))
        tasks.keep("replaying", partial(keep_replaying, pool, settings.recorder_spool_dir))
        tasks.keep("late_words", partial(keep_transcribing_late, settings, pool, worker))
        tasks.keep("purging", partial(_keep_purging, pool))
        try:
            waiting = asyncio.create_task(registered.wait())
            await asyncio.wait(
                {running_server, waiting}, timeout=START_SECONDS, return_when=asyncio.FIRST_COMPLETED
            )
            waiting.cancel()
            if not registered.is_set():
                raise _why_it_did_not_start(running_server, settings)
            watch.keep(tasks)
            tasks.keep("reconciling", reconciler.keep_reconciling)
            if settings.recorder_dispatch == "own":
                tasks.keep("arrivals", arrivals.keep_looking)
            log.info(
                "worker_ready",
                max_rooms=capacity.rooms,
                room_prefix=settings.recorder_room_prefix,
                dispatch=settings.recorder_dispatch,
            )
            with _ending_with(running_server):
                yield partial(duty.drain, server, launcher.starting)
        finally:
            await server.aclose()
            await tasks.close()
            await launcher.close()
            await asyncio.gather(running_server, return_exceptions=True)
            with suppress(Exception):
                await fleet.retire(pool, worker)


@contextmanager
def _ending_with(server: asyncio.Task[None]) -> Iterator[None]:
    """The framework's part cannot begin again: a worker without it ends, and whoever started it sees that."""
    worker, ended = asyncio.current_task(), False

    def end(_server: asyncio.Task[None]) -> None:
        nonlocal ended
        ended = True
        if worker:
            worker.cancel()

    server.add_done_callback(end)
    try:
        yield
    except asyncio.CancelledError:
        if not ended:
            raise
        error = server.exception() if not server.cancelled() else None
        log.error("worker_ended", **(what_failed(error) if error else {"error": "returned"}))
        raise ServiceNotStarted("the worker's connection to LiveKit ended for good") from None
    finally:
        server.remove_done_callback(end)


def _close_folders(spool_dir: Path) -> None:
    for folder in (spool_dir, audio_folder(spool_dir)):
        close_to_others(folder, *(path for path in folder.glob("*") if path.is_file()))


def _why_it_did_not_start(server: asyncio.Task[None], settings: Settings) -> ServiceNotStarted:
    error = server.exception() if server.done() else TimeoutError()
    if isinstance(error, OSError) and error.errno == errno.EADDRINUSE:
        return ServiceNotStarted(
            f"port {settings.recorder_health_port} is taken: set RECORDER_HEALTH_PORT (0 = any free one)"
        )
    return ServiceNotStarted(
        f"the worker could not register with LiveKit ({type(error).__name__}): see `python -m agent doctor`"
    )


async def _keep_purging(pool: Pool) -> None:
    """Forget the journals of long finished sessions, every hour."""
    while True:
        try:
            await purge_journal(pool)
        except Exception as error:
            log.warning("purge_failed", **what_failed(error))
        await asyncio.sleep(PURGE_SECONDS)
