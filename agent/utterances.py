"""Where speech begins and ends: voice activity in, utterances out.

Pure arithmetic on windows of 512 samples (32 ms at 16 kHz): each comes with the probability that it is
speech, and the cutter answers with the utterance that it completes, if any. No word is lost or doubled at
a cut: what follows a cut begins with the next sample.
"""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from math import ceil

import numpy as np
from numpy.typing import NDArray

Samples = NDArray[np.int16]

RATE = 16_000  # Hz
WINDOW = 512  # samples; what the voice activity model takes at a time

SPEECH_BEGINS = 0.5  # probability
SPEECH_GOES_ON = 0.35  # hysteresis, as in the model's reference implementation
SOFT_ONSET = 0.15  # windows of at least this that lead up to speech belong to its first sound


def windows(seconds: float) -> int:
    """So many windows cover this time."""
    return ceil(seconds * RATE / WINDOW)


LEAD = windows(0.4)  # audio before speech begins that is sent along: soft onsets are recognised better
TRAIL = windows(0.25)
LINGER = windows(0.064)  # the model goes on believing in speech for so long after its last sound (measured)
PAUSE = windows(0.5)  # silence that ends an utterance
LEAST = windows(0.064)  # shorter "speech" is a click
LONGEST = windows(28.0)  # Whisper hears at most 30 s at a time
EARLIEST_CUT = windows(10.0)
QUIET = windows(0.16)  # a place to cut is a quiet stretch of this length


@dataclass(frozen=True, slots=True)
class Utterance:
    """Speech from sample `begin` to sample `end` of its stream; `samples` has a little more on both sides."""

    begin: int
    end: int
    samples: Samples


@dataclass(slots=True)
class Cutter:
    """Cuts one participant's audio into utterances."""

    _position: int = 0  # windows seen so far
    _lead: deque[Samples] = field(default_factory=lambda: deque(maxlen=LEAD + LEAST))
    _onset: int = 0  # windows in a row that may be the onset of speech
    _speech: list[Samples] = field(
        default_factory=list
    )  # the lead and everything since, while someone speaks
    _first: int = 0  # window number of _speech[0]
    _begin: int = 0  # window number at which speech began
    _last: int = 0  # window number after the last one with speech
    _run: int = 0  # windows of speech in a row

    def push(self, window: Samples, probability: float) -> Utterance | None:
        """Take the next window in; the utterance that it completes, if any."""
        self._position += 1
        if self._speech:
            self._speech.append(window)
            return self._go_on(probability)
        self._lead.append(window)
        self._run = self._run + 1 if probability >= SPEECH_BEGINS else 0
        self._onset = self._onset + 1 if probability >= SOFT_ONSET else 0
        if self._run >= LEAST:
            self._speech = list(self._lead)
            self._lead.clear()
            self._first = self._position - len(self._speech)
            self._begin = max(self._position - self._onset, self._first)
            self._last = self._position
        return None

    @property
    def under_way(self) -> tuple[int, Sequence[Samples]] | None:
        """While someone speaks: the number of the first sample, and all windows from there on."""
        return (self._first * WINDOW, self._speech) if self._speech else None

    def flush(self) -> Utterance | None:
        """The utterance under way as far as it goes: the stream ends, or somebody waits for its words."""
        return self._finish() if self._speech else None

    def _go_on(self, probability: float) -> Utterance | None:
        if probability >= SPEECH_GOES_ON:
            self._last = self._position
        elif self._position - self._last >= PAUSE:
            return self._finish()
        return self._cut_at_quietest() if len(self._speech) >= LONGEST else None

    def _finish(self) -> Utterance:
        keep = min(self._last + TRAIL, self._position) - self._first
        ended = self._last - LINGER if self._position > self._last else self._last
        utterance = self._utterance(self._speech[:keep], max(ended, self._begin + 1))
        self._lead.extend(self._speech[keep:])
        self._speech, self._run, self._onset = [], 0, 0
        return utterance

    def _cut_at_quietest(self) -> Utterance:
        loudness = [float(np.abs(w.astype(np.int32)).mean()) for w in self._speech[EARLIEST_CUT:]]
        smooth = np.convolve(loudness, np.ones(QUIET), mode="valid")
        cut = EARLIEST_CUT + int(smooth.argmin()) + QUIET // 2
        if self._first + cut >= self._last:
            return self._finish()  # nothing but silence follows: this is the pause that ends the utterance
        utterance = self._utterance(self._speech[:cut], self._first + cut)
        self._speech = self._speech[cut:]
        self._first += cut
        self._begin = self._first
        return utterance

    def _utterance(self, speech: list[Samples], last: int) -> Utterance:
        return Utterance(self._begin * WINDOW, last * WINDOW, np.concatenate(speech))


@dataclass(slots=True)
class StreamClock:
    """When a sample of a live stream was heard.

    Audio arrives in real time but never early: the frame that was least delayed tells best when the stream
    began. A frame that is late by more than `JUMP` seconds means that the stream stood still.
    """

    JUMP = 1.0
    _began: float | None = None

    def frame_arrived(self, samples_so_far: int, at: float) -> None:
        """Note that the frame that ends so many samples after the beginning arrived at `at` (s)."""
        began = at - samples_so_far / RATE
        if self._began is None or began < self._began or began > self._began + self.JUMP:
            self._began = began

    def time_of(self, sample: int) -> float:
        """When this sample was heard, in s on the clock of `frame_arrived`."""
        assert self._began is not None, "no frame has arrived yet"
        return self._began + sample / RATE
