"""How many rooms this worker bears: told by the setting or measured on the machine, while it works.

Recording in time needs a machine that is not busy all the time: where too many rooms share it, sound is
damaged before anybody notices. So a worker counts as full while `SPARE` of the machine is still free.
"""

import math
import os
from contextlib import suppress
from dataclasses import dataclass
from time import monotonic

import psutil
from livekit.agents.utils.hw.cpu import get_cpu_monitor

ROOM = 0.09  # cores that a room takes, until it was measured here (README, "What it costs")
SPARE = 0.2  # of the machine, for what comes at once: joins, saves, words
SMOOTH = 0.3  # share of a new measurement in what is believed
ENOUGH = 2  # rooms from which on their cost can be told from the worker's own
_LEAST, _MOST = 0.02, 1.0  # cores that a room may cost; what is beyond is a mistake of measurement
LOOK_SECONDS = 0.5  # of the machine's use


@dataclass(slots=True)
class Capacity:
    """`setting`: rooms it takes whatever is measured; 0 = as many as `cores` bear."""

    setting: int
    cores: float
    _room: float = ROOM
    _machine: float | None = None
    _measured: int | None = None

    @property
    def rooms(self) -> int:
        """Rooms until it is full."""
        if self.setting:
            return self.setting
        expected = math.floor((1 - SPARE) * self.cores / ROOM)
        return max(self._measured if self._measured is not None else expected, 1)

    def takes(self, rooms: int, *, others_ready: bool) -> bool:
        """Whether it takes another beside so many: a full one too, where nobody else would."""
        return rooms < self.rooms or not (self.setting or others_ready)

    def measured(self, rooms: int, own: float, machine: float) -> None:
        """While it recorded so many rooms it used `own` cores, and everybody together `machine`."""
        if rooms >= ENOUGH:
            cost = min(max(own / rooms, _LEAST), _MOST)
            self._room += SMOOTH * (cost - self._room)
        before = machine if self._machine is None else self._machine
        self._machine = before + SMOOTH * (machine - before)
        more = math.floor(((1 - SPARE) * self.cores - self._machine) / self._room)
        self._measured = max(rooms + more, 1)


class Meter:
    """What this process and its children use of the machine; blocking."""

    def __init__(self) -> None:
        self._monitor = get_cpu_monitor()
        self.cores = self._monitor.cpu_count()
        self._before: tuple[float, float] | None = None

    def cores_used(self) -> tuple[float, float] | None:
        """By us since the last call, and by everybody within our container just now; None at first."""
        at, seconds = monotonic(), cpu_seconds(os.getpid())
        before, self._before = self._before, (at, seconds)
        machine = self._monitor.cpu_percent(LOOK_SECONDS) * self.cores
        if before is None or at - before[0] < LOOK_SECONDS:
            return None
        return max(seconds - before[1], 0.0) / (at - before[0]), machine


def cpu_seconds(pid: int) -> float:
    """What a process and all below it have used so far.

    A parent takes over the time of a child that it has waited for, so adding up `children_*` too keeps the
    sum true when a process ends between two readings.
    """
    total = 0.0
    with suppress(psutil.NoSuchProcess):
        root = psutil.Process(pid)
        for process in (root, *root.children(recursive=True)):
            with suppress(psutil.NoSuchProcess):
                times = process.cpu_times()
                total += times.user + times.system + times.children_user + times.children_system
    return total
