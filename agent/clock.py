"""The time of day as a recorder tells it: a correction of the machine's clock does not tear a session apart.

A step (NTP after a long absence, somebody's `date -s`) would put half of a session minutes before or after
the other. The recorder keeps the time that its session began with, and says so; what is corrected slowly it
follows.
"""

import threading
import time as system
from collections.abc import Callable
from datetime import UTC, datetime

import structlog

from agent.session.events import milliseconds

log = structlog.stdlib.get_logger()

STEP_SECONDS = 0.1  # what changes at once by more is a step
SLEW = 0.0005  # by what share kernels speed a clock up or slow it down, at most


class SteadyClock(threading.local):
    """Seconds since 1970, by a clock that goes on evenly, set by one that somebody may set.

    Each thread has its own, as each session has its own time where rooms share a process.
    """

    def __init__(self, wall: Callable[[], float], even: Callable[[], float]) -> None:
        self._wall = wall
        self._even = even
        self.set()

    def set(self) -> None:
        """Begin with the machine's time as it is now."""
        self._read_at = self._even()
        self._offset = self._difference = self._wall() - self._read_at

    def time(self) -> float:
        """The present."""
        even = self._even()
        difference = self._wall() - even
        change = difference - self._difference
        if abs(change) > STEP_SECONDS + SLEW * (even - self._read_at):
            log.warning("clock_stepped", by_seconds=round(change, 3))
        else:
            self._offset += change
        self._read_at, self._difference = even, difference
        return even + self._offset


def _even() -> float:
    """Seconds that also pass while the machine is suspended, where the system counts those."""
    return system.clock_gettime(getattr(system, "CLOCK_BOOTTIME", system.CLOCK_MONOTONIC))


clock = SteadyClock(system.time, _even)


def now() -> datetime:
    """The present, as exact as the journal keeps it."""
    return milliseconds(datetime.fromtimestamp(clock.time(), UTC))
