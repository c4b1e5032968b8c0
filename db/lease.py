"""Who may write a session: one recorder at a time, by a lease with an epoch.

A write renews its lease as it writes (`db.sessions.write`). A paused recorder that wakes up cannot overwrite
its successor: the successor's claim has begun a new epoch, and the old one is refused.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from agent.session.errors import BoundToAnother, LeaseLost
from agent.session.rooms import SessionInfo
from db.binding import bind
from db.pool import Connection, Pool
from db.queries import queries

LEASE_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to write a session: an owner's turn. A later turn (epoch) ends all earlier ones."""

    session_id: UUID
    owner: str
    epoch: int
    # How long before this claim a recorder that had it, and never let it go, was last known to live.
    predecessor_ago: timedelta | None = None
    same_room: bool = False  # who had it before had it in this room


@dataclass(frozen=True, slots=True)
class Holder:
    """Who else holds a session just now, and in which room."""

    owner: str
    room_sid: str
    renewed_ago: float  # seconds


@asynccontextmanager
async def claiming(
    pool: Pool, info: SessionInfo, start_time: datetime, owner: str
) -> AsyncIterator[tuple[Connection, Lease | Holder]]:
    """A transaction that takes the session's lease first, creating its row if need be; or who holds it.

    The lease comes with what is written in it, or not at all: none tells of a recorder that told nothing.
    Raises BoundToAnother where the room belongs to another session.
    """
    async with pool.acquire() as connection, connection.transaction():
        if (session_id := await bind(connection, info)) != info.session_id:
            raise BoundToAnother(session_id)
        row = await connection.fetchrow(queries["claim_session"], *_asked(info, start_time, owner))
        if row is not None:
            yield (
                connection,
                Lease(
                    info.session_id,
                    owner,
                    row["lease_epoch"],
                    row["predecessor_ago"],
                    same_room=bool(row["same_room"]),
                ),
            )
            return
        held = await connection.fetchrow(queries["lease_holder"], info.session_id, LEASE_SECONDS)
        yield connection, Holder(**held) if held else Holder("", "", 0)


async def claim(pool: Pool, info: SessionInfo, start_time: datetime, owner: str) -> Lease | Holder:
    """The lease alone."""
    async with claiming(pool, info, start_time, owner) as (_, claimed):
        return claimed


@dataclass(frozen=True, slots=True)
class Turn:
    """A whole turn at a session that nobody records, in one transaction."""

    connection: Connection
    predecessor_ago: timedelta | None  # as in `Lease`


@asynccontextmanager
async def one_turn(
    pool: Pool, info: SessionInfo, start_time: datetime, owner: str = ""
) -> AsyncIterator[Turn]:
    """Write a session without recording it. Raises `LeaseLost` while another owner's lease runs.

    Who dies in it leaves no trace: neither half of a record, nor a lease that looks like a living recorder's.
    """
    async with pool.acquire() as connection, connection.transaction():
        row = await connection.fetchrow(queries["take_turn"], *_asked(info, start_time, owner))
        if row is None:
            raise LeaseLost
        yield Turn(connection, row["predecessor_ago"])
        await connection.execute(queries["end_turn"], info.session_id)


async def release(pool: Pool, lease: Lease, *, goes_on: bool = False) -> None:
    """Let the next recorder of this session begin at once; `goes_on`: somebody is still in the room."""
    async with pool.acquire() as connection:
        await connection.execute(
            queries["release_lease"], lease.session_id, lease.owner, lease.epoch, goes_on, LEASE_SECONDS
        )


def _asked(info: SessionInfo, start_time: datetime, owner: str) -> tuple[Any, ...]:
    """What whoever wants a session tells of it."""
    about = (
        info.session_id,
        info.room_name,
        info.room_sid,
        info.counselor_category,
        info.mode,
        info.mode_known,
    )
    return *about, start_time, owner, LEASE_SECONDS
