"""Tasks that begin in an event handler, and an owner that awaits them."""

import asyncio
from collections.abc import Coroutine
from typing import Any

import structlog

from agent.session.errors import what_failed

log = structlog.stdlib.get_logger()


async def at_most(seconds: float, step: str, work: Coroutine[Any, Any, None]) -> None:
    """Wait for work, so many seconds at most; what fails or hangs leaves a log line and holds up no other."""
    task = asyncio.get_running_loop().create_task(work)
    try:
        done, _ = await asyncio.wait({task}, timeout=seconds)
    except asyncio.CancelledError:
        task.cancel()
        raise
    if not done:
        task.cancel()
        log.error("step_hangs", step=step, seconds=seconds)
    elif not task.cancelled() and (error := task.exception()):
        log.error("step_failed", step=step, **what_failed(error))


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
