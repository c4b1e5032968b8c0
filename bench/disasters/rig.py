"""Real services and real workers, which may be killed, stopped and started one by one."""

import os
import signal
import sys
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import UUID

from livekit import api

from agent.demo.caller import Caller
from agent.local.postgres import EmbeddedPostgres
from agent.local.processes import ChildProcess, free_port, port_answers
from agent.local.sfu import SfuServer
from agent.session.errors import ServiceNotStarted
from bench.disasters.followed_log import FollowedLog, Line
from bench.disasters.wire import Wire
from bench.stack import PROJECT, until, worker_environment
from db.pool import Pool, migrate, open_pool
from db.sessions import load_record

READY_SECONDS = 120.0
DEPARTURE_SECONDS = 3  # an empty room is closed so soon, not after LiveKit's 20 s


class Whisper:
    """A Whisper that takes no time, and keeps its address when it is killed and started again."""

    def __init__(self, folder: Path) -> None:
        self._log = folder / "whisper.log"
        self._port = free_port()
        self._child: ChildProcess | None = None
        self.base_url = f"http://127.0.0.1:{self._port}/v1"

    def spawn(self) -> None:
        command = [sys.executable, "-m", "bench.instant_whisper", str(self._port)]
        self._child = ChildProcess("instant Whisper", command, self._log, directory=PROJECT)

    def wait_until_ready(self) -> None:
        assert self._child is not None
        self._child.wait_until(lambda: port_answers(self._port), timeout=READY_SECONDS)

    def kill(self) -> None:
        if self._child is not None:
            self._child.kill()


@dataclass
class Worker:
    """One `python -m agent start`, in a process group of its own with its jobs."""

    name: str
    process: ChildProcess
    log: FollowedLog

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def ready(self) -> bool:
        return self.process.running and bool(self.log("worker_ready"))

    async def until_ready(self) -> None:
        await until(lambda: self.ready or not self.process.running, within=READY_SECONDS)
        if not self.ready:
            raise ServiceNotStarted(f"{self.name} did not start:\n{self.process.log_tail()}")

    def signal_all(self, number: signal.Signals) -> None:
        """To the worker and its jobs, as if the whole host had it."""
        with suppress(ProcessLookupError):
            os.killpg(self.pid, number)


@dataclass
class Rig:
    """`dsn` is where the workers find the database: on the other end of the wire."""

    folder: Path
    sfu: SfuServer
    postgres: EmbeddedPostgres
    whisper: Whisper
    wire: Wire
    pool: Pool
    settings: Mapping[str, str]
    workers: list[Worker] = field(default_factory=list)

    @property
    def threads(self) -> bool:
        """Whether a room's recorder is a thread of its worker: it dies with all the others there."""
        return os.environ.get("RECORDER_JOBS") == "thread"

    @property
    def spool(self) -> Path:
        """One for all workers, as on one host."""
        return self.folder / "spool"

    @property
    def dsn(self) -> str:
        return self.wire.dsn

    def spawn_worker(self, *module: str) -> Worker:
        """Start one more (`python -m agent start` unless told otherwise), and wait for nothing."""
        name = f"worker-{len(self.workers) + 1}"
        log = self.folder / f"{name}.log"
        process = ChildProcess(
            name,
            [sys.executable, "-m", *(module or ("agent", "start"))],
            log,
            environment=worker_environment(
                self.sfu.address, self.dsn, self.whisper.base_url, self.spool, **self.settings
            ),
            directory=PROJECT,
        )
        worker = Worker(name, process, FollowedLog(log))
        self.workers.append(worker)
        return worker

    async def worker(self, *module: str) -> Worker:
        """One more, ready."""
        worker = self.spawn_worker(*module)
        await worker.until_ready()
        return worker

    async def start_workers(self, count: int) -> list[Worker]:
        """So many more, ready."""
        workers = [self.spawn_worker() for _ in range(count)]
        for worker in workers:
            await worker.until_ready()
        return workers

    async def close_rooms(self, rooms: Iterable[str]) -> None:
        """Sooner than LiveKit does, which looks for empty rooms every few seconds."""
        async with self.livekit() as livekit:
            for room in rooms:
                with suppress(api.TwirpError):  # closed already
                    await livekit.room.delete_room(api.DeleteRoomRequest(room=room))

    def end_worker(self, worker: Worker) -> None:
        """With all its jobs, however they are."""
        worker.signal_all(signal.SIGKILL)
        worker.process.kill()

    def end_workers(self) -> None:
        for worker in self.workers:
            self.end_worker(worker)

    def log(self, event: str, **fields: Any) -> list[Line]:
        """Of all workers, the dead included, by time."""
        lines = [line for worker in self.workers for line in worker.log(event, **fields)]
        return sorted(lines, key=lambda line: line["at"])

    def joining(self, room: str, identity: str, **options: Any) -> AbstractAsyncContextManager[Caller]:
        at = self.sfu.address
        return Caller.joining(at.url, at.api_key, at.api_secret, room, identity, **options)

    @asynccontextmanager
    async def livekit(self) -> AsyncIterator[api.LiveKitAPI]:
        at = self.sfu.address
        async with api.LiveKitAPI(at.url, at.api_key, at.api_secret) as livekit:
            yield livekit

    async def record(self, room: str) -> dict[str, Any] | None:
        return await load_record(self.pool, session_of(room))


def session_of(room: str) -> UUID:
    return UUID(room.removeprefix("coaching-"))


@asynccontextmanager
async def rigged(folder: Path, **settings: str) -> AsyncIterator[Rig]:
    """The services, without a worker yet. Only from the main thread (see `ChildProcess`)."""
    folder.mkdir(parents=True, exist_ok=True)
    # Not LiveKit's own port: while it is killed, another rig might take that.
    quick = {"room": {"departure_timeout": DEPARTURE_SECONDS}}
    sfu = SfuServer(folder / "sfu", port=free_port(), overrides=quick)
    postgres, whisper = EmbeddedPostgres(folder / "postgres"), Whisper(folder)
    try:
        sfu.start()
        whisper.spawn()
        whisper.wait_until_ready()
        dsn = postgres.start()
        await migrate(dsn)
        async with Wire.to(dsn, folder / "wire") as wire:
            pool = await open_pool(dsn)
            rig = Rig(folder, sfu, postgres, whisper, wire, pool, settings)
            try:
                yield rig
            finally:
                rig.end_workers()
                pool.terminate()
    finally:
        whisper.kill()
        sfu.stop()
        postgres.stop()
