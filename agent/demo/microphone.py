"""A microphone that never stops: silence when nothing is said, speech on time when something is."""

import asyncio
from collections import deque
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal

import numpy as np
from livekit import rtc

from agent.demo.device import Device, Kind
from agent.demo.speech import Samples, Speech

SAMPLE_RATE = 48_000
# Chunks of 100 ms cost 10 % of a core, chunks of 20 ms 14 %. The queue bridges 100 ms of a busy event loop.
CHUNKS_A_SECOND = 10
QUEUE_MS = 100

_SOURCES: dict[Kind, rtc.TrackSource.ValueType] = {
    "microphone": rtc.TrackSource.SOURCE_MICROPHONE,
    "screen_share_audio": rtc.TrackSource.SOURCE_SCREENSHARE_AUDIO,
}


class MicrophoneClosedError(Exception):
    """The caller left, or its microphone failed, before everything was said."""


@dataclass(frozen=True)
class Spoken:
    """When the first audible sample was handed to WebRTC, and the last one."""

    begin: datetime
    end: datetime


@dataclass
class _Turn:
    """Speech that waits for its turn, or is being said."""

    samples: Samples
    lead: timedelta
    audible: timedelta
    said: asyncio.Future[Spoken]
    begin: datetime | None = None
    position: int = 0

    def next_chunk(self, size: int, goes_out: datetime) -> Samples:
        """The next `size` samples, filled up with silence; `goes_out` is when their first one does."""
        self.begin = self.begin or goes_out + self.lead
        chunk = self.samples[self.position : self.position + size]
        self.position += size
        return np.pad(chunk, (0, size - len(chunk)))

    @property
    def spoken(self) -> Spoken:
        assert self.begin is not None
        return Spoken(self.begin, self.begin + self.audible)


class Microphone(Device):
    """Speech on a background of silence, at WebRTC's own pace; or what a shared screen plays, instead.

    WebRTC takes 10 ms of the source's queue every 10 ms and holds `capture_frame` while the queue is full,
    so no clock of ours can drift from it. A sample goes out when all queued before it has.
    """

    source: rtc.AudioSource

    def __init__(
        self,
        *,
        sample_rate: int = SAMPLE_RATE,
        channels: int = 1,
        kind: Literal["microphone", "screen_share_audio"] = "microphone",
    ) -> None:
        super().__init__()
        self.kind = kind
        self.source = rtc.AudioSource(sample_rate, channels, queue_size_ms=QUEUE_MS)
        self.track = rtc.LocalAudioTrack.create_audio_track(kind, self.source)
        self._sample_rate = sample_rate
        self._channels = channels
        self._chunk = sample_rate // CHUNKS_A_SECOND
        self._turns: deque[_Turn] = deque()

    def publish_options(self) -> rtc.TrackPublishOptions:
        return rtc.TrackPublishOptions(source=_SOURCES[self.kind])

    async def feed(self) -> None:
        """Send sound until closed; whoever still waits in `say` then gets `MicrophoneClosedError`."""
        try:
            while not self.closing:
                turn = self._turns[0] if self._turns else None
                goes_out = self._next_sample_goes_out()
                samples = turn.next_chunk(self._chunk, goes_out) if turn else np.zeros(self._chunk, np.int16)
                await self.source.capture_frame(self._frame(samples))
                if turn and turn.position >= len(turn.samples):
                    self._turns.popleft()
                    _settle(turn)
        finally:
            self.closing = True
            for turn in self._turns:
                if not turn.said.done():
                    turn.said.set_exception(MicrophoneClosedError())

    async def say(self, speech: Speech) -> Spoken:
        """Say it after all that is still to be said; return when its last sample has gone out."""
        samples = (await asyncio.to_thread(speech.at, self._sample_rate)).samples
        if self.closing:
            raise MicrophoneClosedError
        said: asyncio.Future[Spoken] = asyncio.get_running_loop().create_future()
        lead, audible = timedelta(seconds=speech.lead), timedelta(seconds=speech.audible)
        self._turns.append(_Turn(samples, lead, audible, said))
        return await said

    def _frame(self, samples: Samples) -> rtc.AudioFrame:
        """The same on every channel."""
        interleaved = np.repeat(samples, self._channels).tobytes()
        return rtc.AudioFrame(interleaved, self._sample_rate, self._channels, len(samples))

    def _next_sample_goes_out(self) -> datetime:
        return datetime.now(UTC) + timedelta(seconds=self.source.queued_duration)


def _settle(turn: _Turn) -> None:
    """Tell whoever said it, unless they no longer wait, once what is still queued has gone out."""

    def settle() -> None:
        if not turn.said.done():
            turn.said.set_result(turn.spoken)

    still_queued = (turn.spoken.end - datetime.now(UTC)).total_seconds()
    asyncio.get_running_loop().call_later(max(still_queued, 0), settle)
