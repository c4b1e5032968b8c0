"""What a publisher sends, in its own figures: the truth that a recorder's readings are compared with."""

from collections.abc import Iterable
from dataclasses import dataclass

from livekit import rtc


@dataclass(frozen=True)
class Outbound:
    """One track's counters since it was published: all layers together, frames of the busiest.

    `timestamp` is in seconds on WebRTC's clock: only differences mean something. `bytes_sent` is RTP payload
    without headers, like `bytes_received` on the other side; retransmissions are included.
    """

    source: str
    timestamp: float
    bytes_sent: int
    retransmitted_bytes_sent: int
    packets_sent: int
    frames_sent: int
    width: int
    height: int

    def kbps_since(self, earlier: "Outbound") -> float:
        return (self.bytes_sent - earlier.bytes_sent) * 8 / 1000 / (self.timestamp - earlier.timestamp)

    def fps_since(self, earlier: "Outbound") -> float:
        return (self.frames_sent - earlier.frames_sent) / (self.timestamp - earlier.timestamp)


def outbound_of(source: str, stats: Iterable[rtc.stats.RtcStats]) -> Outbound | None:
    """Add up the outbound-rtp entries of one track; None while it has no connection to send on."""
    layers = [entry.outbound_rtp for entry in stats if entry.HasField("outbound_rtp")]
    if not layers:
        return None
    return Outbound(
        source=source,
        timestamp=max(layer.rtc.timestamp for layer in layers) / 1e6,
        bytes_sent=sum(layer.sent.bytes_sent for layer in layers),
        retransmitted_bytes_sent=sum(layer.outbound.retransmitted_bytes_sent for layer in layers),
        packets_sent=sum(layer.sent.packets_sent for layer in layers),
        frames_sent=max(layer.outbound.frames_sent for layer in layers),
        width=max(layer.outbound.frame_width for layer in layers),
        height=max(layer.outbound.frame_height for layer in layers),
    )
