"""A participant ends the session: whoever else asks meanwhile, or at once again, is answered with them."""

import asyncio
from collections.abc import Awaitable, Callable

from agent.tasks import Tasks

AGAIN_SECONDS = 1.0  # after an answer; who asks later may have gone on talking


class SessionEnd:
    """Answers one room, one answer at a time."""

    def __init__(self, answer: Callable[[], Awaitable[None]]) -> None:
        self._answer = answer
        self._answering = Tasks()
        self._not_before = 0.0

    @property
    def busy(self) -> bool:
        """Whether who asks now is answered with others."""
        return len(self._answering) > 0 or asyncio.get_running_loop().time() < self._not_before

    def ask(self) -> bool:
        """Whether this is a new question."""
        if self.busy:
            return False
        self._answering.start(self._end())
        return True

    async def close(self) -> None:
        """The room is gone: nobody hears an answer."""
        await self._answering.close(grace=0)

    async def _end(self) -> None:
        try:
            await self._answer()
        finally:
            self._not_before = asyncio.get_running_loop().time() + AGAIN_SECONDS
