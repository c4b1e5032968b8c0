"""The arithmetic of call quality: counters to readings, readings to a session's averages."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from agent.session.events import ConnectionQuality, QualityRead

# LiveKit's scale as the design weighs it; 2 is unused, so that "poor" stands as far from "good" as it feels.
_SCORES: Mapping[ConnectionQuality, float] = {"excellent": 4, "good": 3, "poor": 1, "lost": 0}


@dataclass(frozen=True, slots=True, kw_only=True)
class InboundCounters:
    """A subscription's running totals at one moment (W3C webrtc-stats, `inbound-rtp`).

    `timestamp` in s on the statistics' own clock, jitter and round trip in s, bytes without RTP headers.
    """

    timestamp: float
    bytes_received: int
    packets_received: int
    packets_lost: int
    frames_received: int | None = None
    jitter: float | None = None
    round_trip_time: float | None = None
    width: int | None = None
    height: int | None = None

    def after(self, earlier: "InboundCounters") -> "InboundCounters":
        """These counters as the beginning of the next interval.

        A packet that came late made `packets_lost` fall; the next one lost would be counted twice.
        """
        return replace(self, packets_lost=max(self.packets_lost, earlier.packets_lost))


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """What passed between two readings of one subscription."""

    seconds: float
    bitrate_kbps: float
    fps: float | None
    packets_lost: int
    packets_received: int


def between(earlier: InboundCounters, later: InboundCounters) -> Interval | None:
    """The interval between two readings; None when the counters restarted or no time passed.

    `packets_lost` falls when a late packet arrives after all (RFC 3550 A.3), so an interval's loss is never
    below zero.
    """
    seconds = later.timestamp - earlier.timestamp
    received = later.packets_received - earlier.packets_received
    bits = 8 * (later.bytes_received - earlier.bytes_received)
    if seconds <= 0 or received < 0 or bits < 0:
        return None
    fps = None
    if earlier.frames_received is not None and later.frames_received is not None:
        fps = max(later.frames_received - earlier.frames_received, 0) / seconds
    return Interval(
        seconds=seconds,
        bitrate_kbps=bits / seconds / 1000,
        fps=fps,
        packets_lost=max(later.packets_lost - earlier.packets_lost, 0),
        packets_received=received,
    )


def loss_percentage(readings: Iterable[QualityRead]) -> float | None:
    """100 x lost / (lost + received) over all intervals; None when no packet was counted."""
    counted = [r for r in readings if r.packets_lost is not None and r.packets_received is not None]
    lost = sum(r.packets_lost or 0 for r in counted)
    total = lost + sum(r.packets_received or 0 for r in counted)
    return 100 * lost / total if total else None


def time_weighted_mean(weighted: Iterable[tuple[float, float]]) -> float | None:
    """Mean of (value, seconds) pairs; None when no time passed."""
    pairs = list(weighted)
    seconds = sum(weight for _, weight in pairs)
    return sum(value * weight for value, weight in pairs) / seconds if seconds > 0 else None


@dataclass(frozen=True, slots=True)
class QualityState:
    """A connection quality and the time span in which it held."""

    quality: ConnectionQuality
    begin: datetime
    end: datetime


def connection_quality_in_words(states: Iterable[QualityState]) -> str:
    """Time-weighted score as a word: >= 3.5 excellent, >= 2.5 good, >= 1.5 fair, else poor; or unknown."""
    score = time_weighted_mean((_SCORES[s.quality], (s.end - s.begin).total_seconds()) for s in states)
    if score is None:
        return "unknown"
    for least, word in ((3.5, "excellent"), (2.5, "good"), (1.5, "fair")):
        if round(score, 9) >= least:  # an average on the threshold may come out an ulp below it
            return word
    return "poor"


def averages(readings: Iterable[QualityRead], states: Iterable[QualityState], mode: str) -> dict[str, Any]:
    """The figures of one participant or of the whole session, as section 5 of the design names them.

    Means are over the camera tracks (the microphone's bitrate in a voice session), on the recorder's leg;
    `total_readings` counts every reading of that leg. What was never measured is None, not 0.
    """
    own = [r for r in readings if r.leg == "sfu_to_recorder"]
    main = [r for r in own if r.source == ("microphone" if mode == "voice" else "camera")]
    return {
        "average_bitrate": _rounded(time_weighted_mean((r.bitrate_kbps, r.seconds) for r in main)),
        "average_fps": _rounded(time_weighted_mean((r.fps, r.seconds) for r in main if r.fps is not None)),
        "packet_loss_percentage": _rounded(loss_percentage(own)),
        "connection_quality_average": connection_quality_in_words(states),
        "total_readings": len(own),
    }


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 3)
