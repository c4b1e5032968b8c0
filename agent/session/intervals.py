"""What passed between two readings of a subscription's running totals."""

from dataclasses import dataclass

from agent.session.counters import InboundCounters
from agent.session.perceived import freezes_between, hearing_between

MAY_WAIT = 2  # frames that came and are not decoded yet


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """What passed between two readings of one subscription."""

    seconds: float
    bitrate_kbps: float
    fps: float | None
    packets_lost: int
    packets_received: int
    packets_repaired: int = 0
    concealed_percentage: float | None = None
    mos: float | None = None
    freeze_count: int | None = None
    freeze_seconds: float | None = None


def between(
    earlier: InboundCounters,
    later: InboundCounters,
    *,
    steady: InboundCounters | None = None,
    resumed: bool = False,
) -> Interval | None:
    """The interval between two readings; None when the counters restarted or no time passed.

    `steady`: counters from which on pictures came at their usual pace, where `earlier` is before the first:
    that one is large and takes its time, and those behind it come the faster. `resumed`: before `earlier`
    nothing was sent for a while, which is no freeze.
    `packets_lost` falls when a late packet arrives after all (RFC 3550 A.3), so an interval's loss is never
    below zero.
    """
    seconds = later.timestamp - earlier.timestamp
    received = later.packets_received - earlier.packets_received
    bits = 8 * (later.bytes_received - earlier.bytes_received)
    if seconds <= 0 or received < 0 or bits < 0:
        return None
    seen = steady if resumed else earlier
    freezes = freezes_between(seen.video, later.video) if seen else None
    concealed, mos = hearing_between(earlier, later)
    return Interval(
        seconds=seconds,
        bitrate_kbps=bits / seconds / 1000,
        fps=_fps(steady or earlier, later),
        packets_lost=max(later.packets_lost - earlier.packets_lost, 0),
        packets_received=received,
        packets_repaired=max(later.packets_repaired - earlier.packets_repaired, 0),
        concealed_percentage=concealed,
        mos=mos,
        freeze_count=None if freezes is None else freezes[0],
        freeze_seconds=None if freezes is None else freezes[1],
    )


def _fps(earlier: InboundCounters, later: InboundCounters) -> float | None:
    """Of frames received or decoded, whichever are more.

    libwebrtc counts as received one frame where a retransmission completes several, and a busy machine
    decodes fewer than came. Where they came steadily, by the time from frame to frame: of a short interval's
    edges, a frame more or less would tell.
    """
    seconds = later.timestamp - earlier.timestamp
    if earlier.video is None or later.video is None or seconds <= 0:
        return None
    received = later.video.frames_received - earlier.video.frames_received
    decoded = later.video.frames_decoded - earlier.video.frames_decoded
    delay = later.video.frame_delay - earlier.video.frame_delay
    all_decoded = decoded > 0 and received - decoded <= MAY_WAIT and earlier.video.frames_decoded > 0
    if all_decoded and abs(seconds - delay) <= MAY_WAIT * delay / decoded:
        return decoded / delay
    return max(received, decoded, 0) / seconds
