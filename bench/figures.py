"""What is measured, and what comes out."""

from collections.abc import Mapping
from dataclasses import dataclass

from bench.kept import Kept
from bench.latency import Latencies


@dataclass(frozen=True)
class Worker:
    """Something that serves rooms: `python -m` what, and the settings that make it this one."""

    name: str
    module: tuple[str, ...]
    environment: Mapping[str, str]
    records: bool = True  # leaves sessions in PostgreSQL


@dataclass(frozen=True)
class Case:
    """What the worker meets, and for how many seconds it is watched."""

    rooms: int
    cameras: bool
    warm_up: float
    seconds: float


@dataclass(frozen=True)
class Cost:
    """CPU is in percent of one core, memory (PSS) in MB, both of the worker's whole process tree."""

    worker: str
    rooms: int
    cameras: bool
    idle_cpu: float
    idle_mb: float
    cpu: float
    mb: float
    utterances: int  # transcription requests within the window
    speech_seconds: float  # the sound in them
    writes: float  # transactions a second in PostgreSQL that write, of all rooms
    kept: Kept | None
    latencies: Latencies | None
    sfu_cpu: float
    database_cpu: float
    talkers_cpu: float
    machine_busy: float  # percent of all cores together, whoever used them
    asked: int = 0  # transcription requests from the first room's beginning to the last one's row

    @property
    def cpu_per_room(self) -> float:
        return self.cpu / self.rooms

    @property
    def mb_per_room(self) -> float:
        """What each room added to the idle worker."""
        return (self.mb - self.idle_mb) / self.rooms
