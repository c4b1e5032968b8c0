"""Events that are not in the database yet: in memory, and on disk too while the database is away."""

import asyncio
import errno
from collections.abc import Sequence
from datetime import datetime

import structlog

from agent.session.events import Event
from agent.spool import Spool

log = structlog.stdlib.get_logger()


class Backlog:
    """In the order in which they were added. The spool holds the first `_spooled` of them."""

    def __init__(self, spool: Spool) -> None:
        self._spool = spool
        self._events: list[Event] = []
        self._spooled = 0
        self._failed_with: int | None = None  # a full disk is told once
        self._disk = asyncio.Lock()

    def __len__(self) -> int:
        return len(self._events)

    def add(self, event: Event) -> None:
        """One more that waits."""
        self._events.append(event)

    def all(self) -> list[Event]:
        """Everything that waits just now."""
        return list(self._events)

    async def written(self, count: int) -> None:
        """The first so many are in the database: memory does not need them any more.

        Nor does the disk, unless it holds later ones as well: then its file stays until these are written.
        """
        async with self._disk:
            del self._events[:count]
            if self._spooled:
                self._spooled = max(self._spooled - count, 0)
                if not self._spooled:
                    await asyncio.to_thread(self._spool.clear)

    async def secure(self) -> bool:
        """Bring everything to the disk; whether that worked."""
        async with self._disk:
            if not (waiting := self._events[self._spooled :]):
                return True
            try:
                await asyncio.to_thread(self._spool.append, waiting)
            except OSError as error:
                if error.errno != self._failed_with:
                    reason = errno.errorcode.get(error.errno or 0, "")
                    log.error("spool_failed", error=type(error).__name__, errno=error.errno, reason=reason)
                self._failed_with = error.errno
                return False
            self._failed_with = None
            self._spooled += len(waiting)
            return True

    def keep_only(self, events: Sequence[Event]) -> None:
        """Forget the others; what is on disk already stays there until all of it is written."""
        kept = set(events)
        self._spooled = sum(event in kept for event in self._events[: self._spooled])
        self._events = list(events)

    def abandon(self) -> None:
        """Leave what is on disk to whoever replays it."""
        self._spool.close()

    def keep_before(self, moment: datetime | None) -> None:
        """Forget what another recorder has as well: everything from this moment on; None: everything."""
        self._spool.clear()
        self._spooled = 0
        self._events = [event for event in self._events if moment is not None and event.at < moment]
