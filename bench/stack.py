"""The recorder as it runs in production, on real services, and what a test wants to know of it."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import asyncpg

from agent.demo.caller import Caller
from agent.local.postgres import EmbeddedPostgres
from agent.local.processes import ChildProcess
from agent.local.sfu import Sfu
from db.pool import open_pool
from db.sessions import load_record

PROJECT = Path(__file__).parents[1]
START_TIMEOUT = 120.0


@dataclass
class Stack:
    """A worker and its services."""

    sfu: Sfu
    postgres: EmbeddedPostgres
    worker: ChildProcess
    spool: Path

    @property
    def dsn(self) -> str:
        return self.postgres.dsn

    def log(self, event: str | None = None, **fields: Any) -> list[dict[str, Any]]:
        """The worker's log lines, of one event, with these fields."""
        lines = [
            json.loads(line)
            for line in self.worker.log.read_text().splitlines(keepends=True)
            if line.startswith("{") and line.endswith("}\n")  # the last one may be half written
        ]
        return [
            line
            for line in lines
            if (event is None or line["event"] == event)
            and all(line.get(name) == value for name, value in fields.items())
        ]

    def joining(self, room: str, identity: str, **options: Any) -> AbstractAsyncContextManager[Caller]:
        return Caller.joining(self.sfu.url, self.sfu.api_key, self.sfu.api_secret, room, identity, **options)

    async def record(self, room: str) -> dict[str, Any] | None:
        """The stored session of a room named by `new_room`."""
        pool = await open_pool(self.dsn)
        try:
            return await load_record(pool, UUID(room.removeprefix("coaching-")))
        finally:
            await pool.close()

    async def tell(self, caller: Caller, text: str) -> None:
        """Send words as a text stream, which names its sender, and wait until they are journaled.

        Who leaves at once may take them along; of who publishes nothing a packet is nobody's at first.
        """
        await caller.room.local_participant.send_text(text, topic="lk.transcription")
        await until(lambda: self.journaled(text, caller.room.name))

    async def journaled(self, text: str, room: str | None = None) -> bool:
        """Whether these words were; `room`: in it alone."""
        async with connected(self.dsn) as connection:
            count = await connection.fetchval(
                "select count(*) from session_events join sessions using (session_id)"
                " where kind = 'UtteranceHeard' and data ->> 'text' = $1"
                " and ($2::text is null or room_name = $2)",
                text,
                room,
            )
        return bool(count)

    async def hears(self, room: str, microphones: int, *reasons: str) -> bool:
        """Whether the recorder hears so many microphones: of each it notes what it missed before."""
        async with connected(self.dsn) as connection:
            count = await connection.fetchval(
                "select count(*) from session_events join sessions using (session_id) where room_name = $1"
                " and kind = 'GapNoted' and data ->> 'what' = 'transcript' and data ->> 'reason' = any($2)",
                room,
                reasons or ("subscribing", "recorder_joined_late"),
            )
        return bool(count >= microphones)

    async def completed(self, room: str, *, within: float = 120.0) -> dict[str, Any]:
        """The stored session once it is completed and its recorder has finished."""
        session_id = room.removeprefix("coaching-")
        await until(lambda: self.log("session_finished", session_id=session_id), within=within)
        record = await self.record(room)
        assert record is not None
        assert record["status"] == "completed"
        return record


def new_room() -> str:
    return f"coaching-{uuid4()}"


async def until(
    condition: Callable[[], Any] | Callable[[], Awaitable[Any]], *, within: float = 60.0, every: float = 0.1
) -> Any:
    """Wait for a condition and return what made it true; TimeoutError when it does not become so."""
    async with asyncio.timeout(within):
        while True:
            found = condition()
            if asyncio.iscoroutine(found):
                found = await found
            if found:
                return found
            await asyncio.sleep(every)


def worker_environment(sfu: Sfu, dsn: str, whisper_url: str, spool: Path, **more: str) -> Mapping[str, str]:
    return {
        "LIVEKIT_URL": sfu.url,
        "LIVEKIT_API_KEY": sfu.api_key,
        "LIVEKIT_API_SECRET": sfu.api_secret,
        "DATABASE_URL": dsn,
        "OPENAI_BASE_URL": whisper_url,
        "OPENAI_API_KEY": "local",
        "RECORDER_SPOOL_DIR": str(spool),
        "RECORDER_HEALTH_PORT": "0",
        "RECORDER_LANGUAGE": "en",
        **more,
    }


@contextmanager
def running_stack(
    sfu: Sfu, postgres: EmbeddedPostgres, whisper_url: str, folder: Path, **settings: str
) -> Iterator[Stack]:
    """Start the worker and wait until rooms are sent to it."""
    folder.mkdir(parents=True, exist_ok=True)
    spool = folder / "spool"
    worker = ChildProcess(
        "worker",
        [sys.executable, "-m", "agent", "start"],
        folder / "worker.log",
        environment=worker_environment(sfu, postgres.dsn, whisper_url, spool, **settings),
        directory=PROJECT,
    )
    stack = Stack(sfu, postgres, worker, spool)
    try:
        worker.wait_until(lambda: bool(stack.log("worker_ready")), timeout=START_TIMEOUT)
        yield stack
    finally:
        worker.kill()


@asynccontextmanager
async def connected(dsn: str) -> AsyncIterator["asyncpg.Connection[asyncpg.Record]"]:
    connection = await asyncpg.connect(dsn)
    try:
        yield connection
    finally:
        await connection.close()
