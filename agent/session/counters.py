"""A subscription's running totals at one moment."""

from dataclasses import dataclass, replace


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


@dataclass(frozen=True, slots=True, kw_only=True)
class VideoCounters:
    """W3C webrtc-stats, `inbound-rtp` of video; `frame_delay` is its `totalInterFrameDelay` in s."""

    frames_received: int
    frames_decoded: int = 0
    freeze_count: int = 0
    frame_delay: float = 0.0
    squared_frame_delay: float = 0.0
    width: int | None = None
    height: int | None = None


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
    in the sequence numbers, whether repaired by retransmission (RFC 4588) or not.
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

    @property
    def packets_expected(self) -> int:
        """By the sequence numbers (RFC 3550 A.3)."""
        return self.packets_received + self.packets_lost

    def after(self, earlier: "InboundCounters") -> "InboundCounters":
        """These counters as the beginning of the next interval.

        A packet that came late made `packets_lost` fall; the next one lost would be counted twice.
        """
        return replace(self, packets_lost=max(self.packets_lost, earlier.packets_lost))
