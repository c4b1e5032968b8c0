"""Work of more than some milliseconds, away from the event loop, and little of it at once.

A thread that computes shares the interpreter with the event loop: each wait of the loop may then last as long
as one turn of every such thread. So few of them work at a time, and turns are short.
"""

import gc
import sys
from collections.abc import Callable
from typing import TypeVar, TypeVarTuple

from anyio import CapacityLimiter, to_thread

AT_ONCE = 2
_TURN = 0.001  # seconds; Python's own 0.005 add up to 100 ms in a request that waits twenty times
_COLLECTING = (50_000, 20, 100)  # Python: 700, 10, 10
Arguments = TypeVarTuple("Arguments")
Result = TypeVar("Result")
_limiter = CapacityLimiter(AT_ONCE)


async def in_thread(work: Callable[[*Arguments], Result], *arguments: *Arguments) -> Result:
    """The result of `work`, which nobody else waits for."""
    return await to_thread.run_sync(work, *arguments, limiter=_limiter)


def share_the_interpreter() -> None:
    """For a process that answers while threads of it compute; after everything is imported.

    Turns are short, and the garbage collector, which stops all threads, no longer goes through what stays
    anyway and seldom through the rest: a page of 20,000 entries stops the others for 16 ms instead of 90.
    """
    sys.setswitchinterval(_TURN)
    gc.collect()
    gc.freeze()
    gc.set_threshold(*_COLLECTING)
