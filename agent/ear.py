"""One audio track of one participant: frames -> voice activity -> utterances with their times."""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from livekit import rtc
from livekit.local_inference import VAD

from agent.clock import clock
from agent.session.events import milliseconds
from agent.speaking import Speaking
from agent.utterances import RATE, WINDOW, Cutter, Samples, StreamClock, Utterance

# Four windows of the voice activity model; Python is woken so much less often than every 10 ms.
FRAME_MS = 128


class Ear:
    """Listens to a track until it ends or `close` is called. `heard` gets each utterance with its file."""

    def __init__(
        self, track: rtc.RemoteAudioTrack, speaking: Speaking, heard: Callable[[Utterance, Path | None], None]
    ) -> None:
        self.frames_until: datetime | None = None  # None before the first frame
        self._speaking = speaking
        self._heard = heard
        self._stream = rtc.AudioStream(track, sample_rate=RATE, num_channels=1, frame_size_ms=FRAME_MS)
        self._clock = StreamClock()
        self._cutter = Cutter()
        self._vad = VAD()
        self._samples = 0

    async def listen(self, on_first_frame: Callable[[], None]) -> None:
        """Hear everything; whatever is being said when the stream ends is an utterance too."""
        rest: Samples = np.empty(0, np.int16)
        try:
            async for event in self._stream:
                samples = np.frombuffer(event.frame.data, np.int16)
                self._samples += len(samples)
                self._clock.frame_arrived(self._samples, clock.time())
                if self.frames_until is None:
                    on_first_frame()
                rest = self._hear(np.concatenate((rest, samples)))
                self._speaking.follow(self._cutter.under_way, self.time_of)
                self.frames_until = self.time_of(self._samples)
        finally:
            self.cut_now()
            await self._stream.aclose()
            self._vad.close()

    async def close(self) -> None:
        """End the stream; `listen` finishes with what has been heard."""
        await self._stream.aclose()

    def cut_now(self) -> None:
        """End the utterance under way here."""
        if utterance := self._cutter.flush():
            self._complete(utterance)

    def time_of(self, sample: int) -> datetime:
        """When this sample was heard."""
        return milliseconds(datetime.fromtimestamp(self._clock.time_of(sample), UTC))

    def _hear(self, samples: Samples) -> Samples:
        """Cut what is there in whole windows; the rest waits for the next frame."""
        whole = len(samples) // WINDOW * WINDOW
        for start in range(0, whole, WINDOW):
            window = samples[start : start + WINDOW]
            if utterance := self._cutter.push(window, self._vad.predict(window)):
                self._complete(utterance)
        return samples[whole:]

    def _complete(self, utterance: Utterance) -> None:
        self._heard(utterance, self._speaking.completed(utterance.samples))
