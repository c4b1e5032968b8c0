"""What a microphone and a camera share: a published track that is fed until the device is closed."""

import asyncio
from abc import ABC, abstractmethod
from typing import Literal

from livekit import rtc

from agent.demo.outbound import Outbound, outbound_of

Kind = Literal["microphone", "camera", "screen_share_audio"]

CLOSING_SECONDS = 1.0  # a frame on its way into WebRTC takes 0.1 s; longer means that WebRTC is gone


class Device(ABC):
    """Owns a media source, its track and the task that feeds it."""

    kind: Kind
    source: rtc.AudioSource | rtc.VideoSource
    track: rtc.LocalAudioTrack | rtc.LocalVideoTrack

    def __init__(self) -> None:
        self.muted = False
        self.closing = False
        self.publication: rtc.LocalTrackPublication | None = None
        self._feeding: asyncio.Task[None] | None = None

    @abstractmethod
    def publish_options(self) -> rtc.TrackPublishOptions: ...

    @abstractmethod
    async def feed(self) -> None:
        """Feed the source until `closing`."""

    async def start(self, participant: rtc.LocalParticipant) -> None:
        """Feed the source from now on, and publish it."""
        self._feeding = asyncio.create_task(self.feed(), name=f"{self.kind} of {participant.identity}")
        self.publication = await participant.publish_track(self.track, self.publish_options())

    def mute(self) -> None:
        self.muted = True
        self.track.mute()

    def unmute(self) -> None:
        self.muted = False
        self.track.unmute()

    async def outbound(self) -> Outbound | None:
        return outbound_of(self.kind, await self.track.get_stats())

    async def stop(self) -> None:
        """Let the frame on its way arrive: WebRTC complains about one that is abandoned."""
        self.closing = True
        if self._feeding:
            await asyncio.wait([self._feeding], timeout=CLOSING_SECONDS)
            self._feeding.cancel()
            await asyncio.wait([self._feeding])

    async def close(self) -> None:
        """Give the source back, and raise what made feeding it fail, if anything did."""
        await self.source.aclose()
        if self._feeding and not self._feeding.cancelled():
            self._feeding.result()
