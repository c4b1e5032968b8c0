"""A bounded rate for what may take long: so that others have their turn, however often there is cause."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

LEAST_SECONDS = 1.0
SHARE = 10  # it takes one part in so many of the time, at most


class Pace:
    """When something may be done again: a second later or, where it took long, `SHARE` times as long."""

    def __init__(self) -> None:
        self._again_at = 0.0

    @property
    def seconds_to_wait(self) -> float:
        return max(self._again_at - asyncio.get_running_loop().time(), 0.0)

    @contextmanager
    def doing(self) -> Iterator[None]:
        """While it is done."""
        clock = asyncio.get_running_loop().time
        began = clock()
        try:
            yield
        finally:
            ended = clock()
            self._again_at = ended + max(LEAST_SECONDS, SHARE * (ended - began))
