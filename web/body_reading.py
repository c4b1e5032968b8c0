"""Reading request bodies within bounds: each in so many bytes and seconds, all together in so much memory."""

import asyncio
from collections import Counter

from starlette.exceptions import HTTPException
from starlette.types import Message, Receive, Scope

LARGEST = 4 * 1024 * 1024  # bytes: more than a day of talking
LARGEST_FORM = 16 * 1024  # bytes: a token and where to go
SECONDS = 60.0  # from the first byte to the last: 4 MiB at 560 kbit/s
MOST_OF_ONE_USER = 2 * LARGEST  # bytes of bodies under way at once, and until they are answered
MOST_OF_ALL = 16 * LARGEST
_AGAIN = {"Retry-After": "2"}


class TooLarge(HTTPException):
    """The body goes on beyond what is taken. An HTTPException, as FastAPI takes others for bad JSON."""

    def __init__(self) -> None:
        super().__init__(413)


class Held:
    """Bytes of bodies that are in memory, by user."""

    def __init__(self) -> None:
        self.of_all = 0
        self.by_user: Counter[object] = Counter()

    def add(self, user: object, size: int) -> None:
        """Count them, or give them back (negative)."""
        self.of_all += size
        if user is not None:
            self.by_user[user] += size
            if not self.by_user[user]:
                del self.by_user[user]


class Body:
    """One request's body. `receive` raises an `HTTPException`: 408, 413, 429 or 503."""

    def __init__(self, scope: Scope, receive: Receive, held: Held, largest: int) -> None:
        self._scope, self._receive, self._held, self._largest = scope, receive, held, largest
        self._taken: Counter[object] = Counter()
        self._more = True
        self._until: float | None = None

    async def receive(self) -> Message:
        if not self._more:  # whoever answers waits here for the client to go
            return await self._receive()
        if self._until is None:
            self._until = asyncio.get_running_loop().time() + SECONDS
        try:
            async with asyncio.timeout_at(self._until):
                message = await self._receive()
        except TimeoutError:
            late = f"The body did not come within {SECONDS:.0f} s."
            raise HTTPException(408, late, {"Connection": "close"}) from None
        self._more = bool(message.get("more_body"))
        self._take(len(message.get("body", b"")))
        return message

    def release(self) -> None:
        """The request is answered."""
        for user, size in self._taken.items():
            self._held.add(user, -size)

    def _take(self, size: int) -> None:
        token = self._scope.get("state", {}).get("token")
        user = token.viewer.user_id if token and not token.viewer.admin else None
        self._taken[user] += size
        self._held.add(user, size)
        if self._taken.total() > self._largest:
            raise TooLarge
        if user is not None and self._held.by_user[user] > MOST_OF_ONE_USER:
            raise HTTPException(429, "Your other requests are still being read: await them.", _AGAIN)
        if self._held.of_all > MOST_OF_ALL:
            raise HTTPException(503, "Too many large requests at once. Try again.", _AGAIN)
