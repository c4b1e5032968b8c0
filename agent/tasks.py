"""Tasks that begin in an event handler, and an owner that awaits them."""

import asyncio
from collections.abc import Coroutine
from typing import Any

import structlog

from agent.session.errors import what_failed

log = structlog.stdlib.get_logger()


class Tasks:
    """Work under way. A task that fails leaves a log line and harms no other."""

    def __init__(self) -> None:
        self._under_way: set[asyncio.Task[None]] = set()

    def __len__(self) -> int:
        return len(self._under_way)

    def start(self, work: Coroutine[Any, Any, None]) -> None:
        """Begin; `finished` or `close` awaits the end."""
        task = asyncio.get_running_loop().create_task(work)
        self._under_way.add(task)
        task.add_done_callback(self._done)

    async def finished(self) -> None:
        """Wait until nothing is under way."""
        while self._under_way:
            await asyncio.wait(list(self._under_way))

    async def those_of_now(self, within: float) -> None:
        """Wait, so many seconds at most, for what is under way now; not for what begins meanwhile."""
        if self._under_way:
            await asyncio.wait(list(self._under_way), timeout=within)

    async def close(self, grace: float) -> None:
        """Wait for up to `grace` seconds, then cancel what is left and wait for that."""
        try:
            async with asyncio.timeout(grace):
                await self.finished()
        except TimeoutError:
            for task in list(self._under_way):
                task.cancel()
            await self.finished()

    def _done(self, task: asyncio.Task[None]) -> None:
        self._under_way.discard(task)
        if not task.cancelled() and (error := task.exception()):
            log.error("task_failed", **what_failed(error))
