"""Rooms that come and go, several at a time, with people who talk in them."""

import asyncio
import random
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import AsyncExitStack, asynccontextmanager

from bench.disasters.people import Truth, conversing
from bench.disasters.rig import Rig
from bench.disasters.strikes import listened_to
from bench.stack import new_room

SPREAD = (0.6, 1.4)  # of the seconds that a room lasts


class Load:
    """`live`: rooms that a recorder listens to, `left`: those that are being left, or were.

    `truths`: what happened in those that are over.
    """

    def __init__(
        self, rig: Rig, rooms: int, at_a_time: int, seconds: float, seed: int, say: Callable[[str], None]
    ) -> None:
        self._rig, self._say = rig, say
        self._rooms, self._seconds = rooms, seconds
        self._slots = asyncio.Semaphore(at_a_time)
        self._random = random.Random(seed)
        self._join = asyncio.Lock()  # one at a time, and nobody while LiveKit's server is away
        self._staying: set[str] = set()
        self._calm = asyncio.Condition()
        self.live: dict[str, Truth] = {}
        self.left: set[str] = set()
        self.truths: list[Truth] = []
        self.over = False

    async def run(self) -> None:
        """All rooms, one after the other as places come free."""
        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(self._rooms):
                    await self._slots.acquire()
                    group.create_task(self._hold())
        finally:
            self.over = True

    @asynccontextmanager
    async def staying(self, rooms: Iterable[str]) -> AsyncIterator[None]:
        """Nobody leaves these rooms meanwhile: who comes to record them can be waited for."""
        kept = set(rooms)
        self._staying |= kept
        try:
            yield
        finally:
            async with self._calm:
                self._staying -= kept
                self._calm.notify_all()

    @asynccontextmanager
    async def nobody_joins(self) -> AsyncIterator[None]:
        """And nobody waits for a recorder."""
        async with self._join:
            yield

    async def _hold(self) -> None:
        """One room from beginning to end."""
        room = new_room()
        try:
            async with AsyncExitStack() as stack:
                async with self._join:
                    talk = await stack.enter_async_context(conversing(self._rig, room))
                    await listened_to(self._rig, room)
                    self.live[room] = talk.truth
                async with talk.talking():
                    await asyncio.sleep(self._seconds * self._random.uniform(*SPREAD))
                async with self._calm:
                    await self._calm.wait_for(lambda: room not in self._staying)
                    del self.live[room]
                    self.left.add(room)
            self.truths.append(talk.truth)
            self._say(f"  {len(self.truths)} of {self._rooms} rooms are over")
        finally:
            self.live.pop(room, None)
            self._slots.release()
