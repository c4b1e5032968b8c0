"""What a publisher sends, in its own figures: the truth that a recorder's readings are compared with."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from livekit import rtc


@dataclass(frozen=True)
class Outbound:
    """One track's counters since it was published: all layers together, frames of the busiest.

    `timestamp` is in seconds since 1970. `bytes_sent` is RTP payload without headers, like `bytes_received`
    on the other side; retransmissions are included. `layers` has the counters of each simulcast layer, named
    by its `rid`, of which a subscriber gets one at a time.
    """

    source: str
    timestamp: float
    bytes_sent: int
    retransmitted_bytes_sent: int
    packets_sent: int
    frames_sent: int
    width: int
    height: int
    rid: str = ""
    layers: tuple["Outbound", ...] = ()

    def kbps_since(self, earlier: "Outbound") -> float:
        return (self.bytes_sent - earlier.bytes_sent) * 8 / 1000 / (self.timestamp - earlier.timestamp)

    def fps_since(self, earlier: "Outbound") -> float:
        return (self.frames_sent - earlier.frames_sent) / (self.timestamp - earlier.timestamp)


def outbound_of(source: str, stats: Iterable[rtc.stats.RtcStats]) -> Outbound | None:
    """The outbound-rtp entries of one track; None while it has no connection to send on."""
    entries = [entry.outbound_rtp for entry in stats if entry.HasField("outbound_rtp")]
    if not entries:
        return None
    layers = tuple(replace(_together(source, [entry]), rid=entry.outbound.rid) for entry in entries)
    return replace(_together(source, entries), layers=layers)


def _together(source: str, entries: Sequence[rtc.stats.RtcStats.OutboundRtp]) -> Outbound:
    """These outbound-rtp entries as one."""
    return Outbound(
        source=source,
        timestamp=max(entry.rtc.timestamp for entry in entries) / 1e6,
        bytes_sent=sum(entry.sent.bytes_sent for entry in entries),
        retransmitted_bytes_sent=sum(entry.outbound.retransmitted_bytes_sent for entry in entries),
        packets_sent=sum(entry.sent.packets_sent for entry in entries),
        frames_sent=max(entry.outbound.frames_sent for entry in entries),
        width=max(entry.outbound.frame_width for entry in entries),
        height=max(entry.outbound.frame_height for entry in entries),
    )
