"""What someone is saying right now, on disk as far as it goes."""

from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path

import numpy as np

from agent.kept_audio import KeptAudio
from agent.session.events import Played
from agent.spoken import Spoken
from agent.utterances import Samples


class Speaking:
    """Follows one track's cutter, frame by frame."""

    def __init__(self, kept: KeptAudio, identity: str, track: Played) -> None:
        self._kept = kept
        self._identity = identity
        self._track = track
        self._first: int | None = None  # number of the first sample; None while nobody speaks
        self._windows = 0  # of it that were written
        self._path: Path | None = None

    def follow(
        self, under_way: tuple[int, Sequence[Samples]] | None, time_of: Callable[[int], datetime]
    ) -> None:
        """Write what came with this frame."""
        if under_way is None:
            return
        first, windows = under_way
        if first != self._first:
            begin = time_of(first)
            spoken = Spoken(self._identity, begin, begin, self._track)
            self._first, self._path = first, self._kept.begin(spoken, np.concatenate(windows))
        elif self._path is not None and len(windows) > self._windows:
            self._kept.go_on(self._path, np.concatenate(windows[self._windows :]))
        self._windows = len(windows)

    def completed(self, samples: Samples) -> Path | None:
        """It has become an utterance; its file, if there is one. What follows goes into another."""
        path, self._path, self._first = self._path, None, None
        if path is not None:
            self._kept.settle(path, samples)
        return path
