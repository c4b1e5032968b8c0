"""Whose session it is: the lease, as one recorder gains it, holds it, loses it or lets it go."""

import asyncio
import os
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import datetime
from uuid import uuid4

import structlog

from agent.session.errors import LeaseLost
from agent.session.rooms import SessionInfo
from db.binding import bind
from db.lease import LEASE_SECONDS, Holder, Lease, claiming, release
from db.pool import Connection, Pool

log = structlog.stdlib.get_logger()

WORKER = "RECORDER_WORKER"  # environment variable with the worker's name


def worker_name() -> str:
    """Whose job this process runs: set by the worker for the processes that it starts."""
    return os.environ.get(WORKER) or os.environ.setdefault(
        WORKER, f"{socket.gethostname()}-{os.getpid()}-{uuid4().hex[:6]}"
    )


class Holding:
    """One recorder's hold of one session. `lease` is None before it is ours, and when it is no more."""

    def __init__(self, pool: Pool) -> None:
        self.owner = f"{worker_name()}+{os.getpid()}-{uuid4().hex[:8]}"
        self.lease: Lease | None = None
        self.superseded = asyncio.Event()  # another recorder holds this room: leave it alone
        self._pool = pool
        self._waiting_since: float | None = None
        self._room_sid = ""  # of the room that is known as this session's

    @asynccontextmanager
    async def turn(self, info: SessionInfo, start_time: datetime) -> AsyncIterator[tuple[Connection, Lease]]:
        """A connection to write on with our lease, or the transaction in which the session becomes ours.

        Raises LeaseLost while it is another's, BoundToAnother where the room is another session's.
        """
        if self.lease is not None:
            async with self._pool.acquire() as connection:
                if info.room_sid != self._room_sid:
                    await bind(connection, info)
                    self._room_sid = info.room_sid
                yield connection, self.lease
            return
        async with claiming(self._pool, info, start_time, self.owner) as (connection, claimed):
            if isinstance(claimed, Holder):
                self._consider_leaving(claimed, info.room_sid)
                raise LeaseLost
            yield connection, claimed
        self.lease, self._waiting_since, self._room_sid = claimed, None, info.room_sid

    def lost(self) -> None:
        """A write was refused: it is not ours, or not any more."""
        if self.lease is not None:
            log.warning("lease_lost")
        self.lease = None

    async def let_go(self, *, goes_on: bool) -> None:
        """Let the next recorder begin at once; `goes_on`: somebody is still in the room."""
        if self.lease is not None:
            with suppress(Exception):
                await release(self._pool, self.lease, goes_on=goes_on)

    def _consider_leaving(self, holder: Holder, room_sid: str) -> None:
        """A lease renewed for longer than it lasts has a living owner: in our room, we are one too many.

        One that was not renewed lately has an owner that died while we waited: it will be ours.
        """
        clock = asyncio.get_running_loop().time()
        if self._waiting_since is None:
            self._waiting_since = clock
            log.info("waiting_for_session", holder=holder.owner)
        same_room = holder.room_sid == room_sid
        lives = clock - self._waiting_since > 1.5 * LEASE_SECONDS and holder.renewed_ago < LEASE_SECONDS / 2
        if same_room and lives:
            log.warning("session_held_by_another_recorder", holder=holder.owner)
            self.superseded.set()
