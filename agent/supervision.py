"""Background tasks that are to run for as long as their owner: one that ends is told of and begins again."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass

import structlog

from agent.session.errors import what_failed

log = structlog.stdlib.get_logger()

LEAST_PAUSE, MOST_PAUSE = 1.0, 60.0  # seconds before a task begins again: twice as long each time
STEADY_SECONDS = 60.0  # one that ran for so long begins with the least pause again
OFTEN = 3  # ends in a row from which on its owner is not well


@dataclass(slots=True)
class _Trouble:
    """How a task ended, so many times in a row, the last time `at`."""

    times: int
    error: str
    at: float


class Supervision:
    """Owner of forever-tasks, each by a name that is also its asyncio task's.

    `restarted` is told the name of each that begins again.
    """

    def __init__(self, restarted: Callable[[str], object] = lambda _name: None) -> None:
        self._restarted = restarted
        self._keepers: list[asyncio.Task[None]] = []
        self._troubles: dict[str, _Trouble] = {}

    def keep(self, name: str, work: Callable[[], Awaitable[None]]) -> None:
        """Run it until `close`, beginning again whenever it ends: returned, failed or cancelled."""
        self._keepers.append(asyncio.create_task(self._keep(name, work), name=f"keeping {name}"))

    def failing(self) -> dict[str, str]:
        """The tasks that end again and again, and with what error the last time."""
        since = asyncio.get_running_loop().time() - STEADY_SECONDS - MOST_PAUSE
        return {
            name: trouble.error
            for name, trouble in self._troubles.items()
            if trouble.times >= OFTEN and trouble.at > since
        }

    async def close(self) -> None:
        """Cancel them all, and wait for that."""
        for keeper in self._keepers:
            keeper.cancel()
        await asyncio.gather(*self._keepers, return_exceptions=True)
        self._keepers.clear()

    async def _keep(self, name: str, work: Callable[[], Awaitable[None]]) -> None:
        clock = asyncio.get_running_loop().time
        while True:
            began = clock()
            task = asyncio.create_task(_awaited(work), name=name)
            try:
                await asyncio.wait({task})
            finally:
                task.cancel()
                with suppress(asyncio.CancelledError, Exception):
                    await task
            steady = clock() - began > STEADY_SECONDS
            trouble = self._troubles.get(name)
            times = 1 if steady or trouble is None else trouble.times + 1
            pause = min(LEAST_PAUSE * 2 ** (times - 1), MOST_PAUSE)
            ended = _how_it_ended(task)
            self._troubles[name] = _Trouble(times, ended["error"], clock())
            log.error("task_ended", task=name, again_in_seconds=pause, **ended)
            self._restarted(name)
            await asyncio.sleep(pause)


async def _awaited(work: Callable[[], Awaitable[None]]) -> None:
    await work()


def _how_it_ended(task: asyncio.Task[None]) -> dict[str, str]:
    if task.cancelled():
        return {"error": "cancelled"}
    error = task.exception()
    return {"error": "returned"} if error is None else what_failed(error)
