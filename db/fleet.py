"""The workers as the database knows them: who lives, who holds which session, who was sent where."""

import asyncio
from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from agent.session.census import TAKES, Held, Started
from db.lease import LEASE_SECONDS
from db.pool import Connection, Pool
from db.queries import queries

BEAT_SECONDS = 1.0  # between two signs of life of a worker
DEAD_SECONDS = 4.0  # without a sign of life: dead, though its connections stay
ACTING_SECONDS = 3.0  # the same of one that acts for all, until PostgreSQL lets another
BUSY_SECONDS = 10.0  # beyond its lease in which a recorder may be late, where its worker lives
_ACTING = 0x5E55_1036  # advisory lock of whoever reconciles; any constant that nobody else uses


@asynccontextmanager
async def alone(pool: Pool) -> AsyncIterator[bool]:
    """Whether we are the one who acts; nobody else does until the end of the context.

    PostgreSQL itself ends the turn of one that hangs: its connection would stay, and with it the lock.
    """
    async with pool.acquire() as connection, connection.transaction():
        await connection.execute(f"set local idle_in_transaction_session_timeout = '{ACTING_SECONDS:.0f}s'")
        acting: bool = await connection.fetchval("select pg_try_advisory_xact_lock($1)", _ACTING)
        alive = asyncio.create_task(_keep_alive(connection))
        try:
            yield acting
        finally:
            alive.cancel()
            with suppress(asyncio.CancelledError):
                await alive


async def _keep_alive(connection: Connection) -> None:
    while True:
        await asyncio.sleep(BEAT_SECONDS)
        await connection.execute("select 1")


@dataclass(frozen=True, slots=True)
class Other:
    """Another worker that is ready for rooms. `starts`: it starts recorders itself (`own` dispatch)."""

    worker: str
    free: float
    starts: bool


async def beat(
    pool: Pool, worker: str, rooms: int, *, ready: bool, report: Mapping[str, Any] | None = None
) -> list[Other]:
    """A worker's sign of life: rooms that it records, `ready` for more, and what staff may want to know.

    Which other workers are ready.
    """
    async with pool.acquire() as connection:
        others = await connection.fetch(
            queries["beat"], worker, rooms, ready, DEAD_SECONDS, dict(report or {})
        )
    return [Other(**other) for other in others]


async def retire(pool: Pool, worker: str) -> None:
    """A worker ends in good order; and so have those that gave no sign of life for a day."""
    async with pool.acquire() as connection:
        await connection.execute(queries["retire_worker"], worker)


async def held_sessions(pool: Pool, worker: str) -> list[Held]:
    """Every session that is not completed, or that a recorder has not let go; `worker` asks."""
    async with pool.acquire() as connection:
        rows = await connection.fetch(
            queries["held_sessions"], DEAD_SECONDS, LEASE_SECONDS, worker, BUSY_SECONDS
        )
    return [
        Held(
            row["session_id"],
            row["room_sid"] or "",
            alive=row["alive"],
            unseen=row["unseen"],
        )
        for row in rows
    ]


@dataclass(frozen=True, slots=True)
class Stale:
    """A session that has been in progress for long, and that no recorder holds."""

    session_id: UUID
    room_name: str
    room_sid: str | None


async def stale_sessions(pool: Pool, seconds: float) -> list[Stale]:
    """Sessions in progress for longer than this, oldest first."""
    async with pool.acquire() as connection:
        rows = await connection.fetch(queries["stale_sessions"], seconds)
    return [Stale(row["session_id"], row["room_name"], row["room_sid"]) for row in rows]


async def remove_unused(pool: Pool, seconds: float, room_names: Collection[str]) -> int:
    """Forget sessions that were opened longer ago than this and never entered; how many.

    Should somebody come after all, their recorder writes the row again, from what the room's metadata say.
    """
    async with pool.acquire() as connection:
        return len(await connection.fetch(queries["remove_unused"], seconds, list(room_names)))


async def held_lately(pool: Pool, session_id: UUID, seconds: float) -> bool:
    """Whether a recorder holds the session, or was the last to hold it no longer ago than this."""
    async with pool.acquire() as connection:
        return bool(await connection.fetchval(queries["held_lately"], session_id, seconds))


async def revoke(pool: Pool, session_id: UUID) -> None:
    """Take a session from a recorder that is dead: the next may claim it at once."""
    async with pool.acquire() as connection:
        await connection.execute(queries["revoke_lease"], session_id)


async def revoke_of_job(pool: Pool, worker: str, room_name: str, room_sid: str) -> None:
    """The same for the session of a worker's job that is gone; one that ended well has let go already.

    `room_sid` is the one it was sent to; after a restart of LiveKit's server its room has another.
    """
    async with pool.acquire() as connection:
        await connection.execute(queries["revoke_leases_of_job"], worker, room_name)
        await connection.execute(queries["void_start"], worker, room_sid, TAKES)


async def started(pool: Pool) -> dict[str, Started]:
    """How often recorders were started, by room sid. One whose worker died need not be waited for."""
    async with pool.acquire() as connection:
        rows = await connection.fetch(queries["load_starts"], DEAD_SECONDS, TAKES)
    return {row["room_sid"]: Started(row["attempts"], row["ago"]) for row in rows}


async def note_start(pool: Pool, room_sid: str, worker: str) -> int | None:
    """Note that a recorder is started for a room; which attempt it is.

    None: another worker has just started one, as it may where we hung while we acted.
    """
    async with pool.acquire() as connection:
        attempt: int | None = await connection.fetchval(
            queries["note_start"], room_sid, worker, TAKES, DEAD_SECONDS
        )
    return attempt


async def note_first_start(pool: Pool, room_sid: str, room_name: str, worker: str) -> bool:
    """The same for a room that is new; whether it is: nobody recorded it, or was started for it, ever.

    A room under whose name somebody records just now is that recorder's: LiveKit's server was restarted.
    """
    async with pool.acquire() as connection:
        return bool(await connection.fetchval(queries["note_first_start"], room_sid, room_name, worker))
