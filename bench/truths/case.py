"""What a case of the table is: something known is played, and compared with what was recorded of it."""

from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

from agent.local.postgres import EmbeddedPostgres
from agent.local.sfu import Sfu, run_sfu
from bench.stack import Stack, running_stack

QUICK_ROOMS = {"room": {"departure_timeout": 3}}  # s after the last leave: a case waits for it


@dataclass(frozen=True)
class Row:
    """One line of the table. `holds`: the error is within its target."""

    case: str
    truth: str
    recorded: str
    error: str
    holds: bool


@dataclass(frozen=True)
class Rig:
    """Real services that cases share, and the means to start others. `stack` records in English."""

    folder: Path
    postgres: EmbeddedPostgres
    whisper_url: str
    stack: Stack
    _numbers: Iterator[int] = field(default_factory=count)

    @contextmanager
    def stack_of_its_own(self, **settings: str) -> Iterator[Stack]:
        """A LiveKit server and a worker for one case, e.g. with other settings (environment variables)."""
        folder = self.folder / f"stack-{next(self._numbers)}"
        with run_sfu(folder / "sfu", overrides=QUICK_ROOMS) as sfu, self.recorder(sfu, **settings) as stack:
            yield stack

    @contextmanager
    def recorder(self, sfu: Sfu, **settings: str) -> Iterator[Stack]:
        """A worker of its own at a LiveKit server of the case's own."""
        folder = self.folder / f"recorder-{next(self._numbers)}"
        with running_stack(sfu, self.postgres, self.whisper_url, folder, **settings) as stack:
            yield stack


@dataclass(frozen=True)
class Case:
    """`seconds`: about how long it takes. Raises nothing for a wrong record: its rows say so."""

    name: str
    seconds: float
    measure: Callable[[Rig], Coroutine[Any, Any, list[Row]]]
