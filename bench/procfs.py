"""CPU time and memory of a process and all that descend from it."""

import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

from agent.capacity import cpu_seconds


@dataclass(frozen=True)
class CpuReading:
    """CPU seconds that a tree of processes had used at a moment."""

    at: float
    seconds: float

    def percent_since(self, earlier: "CpuReading") -> float:
        """Mean share of one core: 100 is one core kept busy, two busy cores are 200."""
        return 100 * (self.seconds - earlier.seconds) / (self.at - earlier.at)


def read_cpu(pid: int) -> CpuReading:
    """What the tree under `pid` has used so far."""
    return CpuReading(time.monotonic(), cpu_seconds(pid))


def read_pss(pid: int) -> float:
    """Proportional memory of the tree in MB: a page that n processes share counts 1/n for each."""
    kilobytes = 0
    for process in _tree(pid):
        with suppress(FileNotFoundError, ProcessLookupError):
            rollup = Path(f"/proc/{process.pid}/smaps_rollup").read_text()
            kilobytes += sum(int(line.split()[1]) for line in rollup.splitlines() if line.startswith("Pss:"))
    return kilobytes * 1024 / 1e6


def processes(pid: int) -> int:
    """How many the tree has."""
    return len(_tree(pid))


def _tree(pid: int) -> list[psutil.Process]:
    try:
        root = psutil.Process(pid)
        return [root, *root.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []
