"""A subscription's running totals at one moment."""

from dataclasses import dataclass, replace

FAREWELL = (8, 8)  # pixels
FAREWELL_FRAMES = 6  # at most: 0.2 s at 30 a second
OPEN_HOLE = 1.0  # s; even in a pause (DTX) a packet comes every 0.4 s
RATE = 48_000  # samples a second that libwebrtc's decoder gives out


@dataclass(frozen=True, slots=True, kw_only=True)
class AudioCounters:
    """W3C webrtc-stats, `inbound-rtp` of audio: samples that the decoder gave out, seconds they waited.

    Concealed samples are invented for packets that did not come in time; those of a longer hole fade to
    silence and are `silent`, too. Where nothing is sent in a pause (DTX) and nothing is lost, none are
    concealed.
    """

    samples_received: int
    concealed_samples: int
    silent_concealed_samples: int = 0
    jitter_buffer_delay: float = 0.0
    jitter_buffer_emitted: int = 0

    def without_tail(self, seconds: float, earlier: "AudioCounters") -> "AudioCounters":
        """As they were so many seconds ago, since when all was concealed, but not before `earlier`."""
        tail = round(seconds * RATE)
        samples = min(tail, max(self.samples_received - earlier.samples_received, 0))
        concealed = min(tail, max(self.concealed_samples - earlier.concealed_samples, 0))
        silent = min(concealed, max(self.silent_concealed_samples - earlier.silent_concealed_samples, 0))
        return replace(
            self,
            samples_received=self.samples_received - samples,
            concealed_samples=self.concealed_samples - concealed,
            silent_concealed_samples=self.silent_concealed_samples - silent,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class VideoCounters:
    """W3C webrtc-stats, `inbound-rtp` of video; `frame_delay` is its `totalInterFrameDelay` in s."""

    frames_received: int
    frames_decoded: int = 0
    key_frames_decoded: int = 0
    freeze_count: int = 0
    frame_delay: float = 0.0
    squared_frame_delay: float = 0.0
    width: int | None = None
    height: int | None = None

    def without_farewell(self, earlier: "VideoCounters") -> "VideoCounters":
        """Without the black pictures, 8x8 key frames, with which LiveKit's server ends a track."""
        black = self.key_frames_decoded - earlier.key_frames_decoded
        seen = (self.width, self.height) == FAREWELL
        decoded = self.frames_decoded - (min(black, FAREWELL_FRAMES) if seen else 0)
        usual = decoded + max(earlier.frames_received - earlier.frames_decoded, 0)
        received = max(min(self.frames_received, usual), self.frames_received - FAREWELL_FRAMES)
        width, height = (earlier.width, earlier.height) if seen else (self.width, self.height)
        return replace(self, frames_received=received, frames_decoded=decoded, width=width, height=height)


@dataclass(frozen=True, slots=True, kw_only=True)
class SenderReport:
    """RTCP's sender report (RFC 3550 6.4.1): what LiveKit's server had sent us when it came, at `at`."""

    at: float
    packets_sent: int


@dataclass(frozen=True, slots=True, kw_only=True)
class InboundCounters:
    """A subscription's running totals at one moment (W3C webrtc-stats, `inbound-rtp`).

    `timestamp` in s on the statistics' own clock, jitter and round trip in s, bytes without RTP headers.
    `packets_received` are without retransmissions, which are `packets_repaired`; `packets_lost` are the gaps
    in the sequence numbers, whether repaired by retransmission (RFC 4588) or not. `last_packet_at`: when the
    last packet came, on the same clock as `timestamp`.
    """

    timestamp: float
    bytes_received: int
    packets_received: int
    packets_lost: int
    packets_repaired: int = 0
    audio: AudioCounters | None = None
    video: VideoCounters | None = None
    sender_report: SenderReport | None = None
    jitter: float | None = None
    round_trip_time: float | None = None
    last_packet_at: float | None = None

    @property
    def silence(self) -> float:
        """Seconds since the last packet."""
        return 0.0 if self.last_packet_at is None else max(self.timestamp - self.last_packet_at, 0.0)

    @property
    def hole_is_open(self) -> bool:
        """Nothing has come for a while: whether packets are lost, or none sent, only the next tells."""
        return self.silence > OPEN_HOLE

    def until_last_packet(self, earlier: "InboundCounters") -> "InboundCounters":
        """As they were when the last packet came: a hole without an end is no loss, and no sound."""
        audio = self.audio
        if audio is not None and earlier.audio is not None:
            audio = audio.without_tail(self.silence, earlier.audio)
        return replace(self, timestamp=self.timestamp - self.silence, audio=audio)

    def without_farewell(self, earlier: "InboundCounters") -> "InboundCounters":
        """As `VideoCounters.without_farewell`."""
        if self.video is None or earlier.video is None:
            return self
        return replace(self, video=self.video.without_farewell(earlier.video))

    def nothing_yet(self, seconds: float) -> "InboundCounters":
        """What they were so many seconds ago, when nothing of this video had come."""
        at = self.timestamp - seconds
        nothing = VideoCounters(frames_received=0)
        return InboundCounters(
            timestamp=at, bytes_received=0, packets_received=0, packets_lost=0, video=nothing
        )

    @property
    def packets_expected(self) -> int:
        """By the sequence numbers (RFC 3550 A.3)."""
        return self.packets_received + self.packets_lost

    def after(self, earlier: "InboundCounters") -> "InboundCounters":
        """These counters as the beginning of the next interval.

        A packet that came late made `packets_lost` fall; the next one lost would be counted twice.
        """
        return replace(self, packets_lost=max(self.packets_lost, earlier.packets_lost))
