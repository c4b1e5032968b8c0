"""The arithmetic of call quality: readings to a session's averages."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from agent.session.connection import QualityState
from agent.session.events import ConnectionQuality, Leg, QualityRead

# LiveKit's scale as the design weighs it; 2 is unused, so that "poor" stands as far from "good" as it feels.
_SCORES: Mapping[ConnectionQuality, float] = {"excellent": 4, "good": 3, "poor": 1, "lost": 0}


@dataclass(frozen=True, slots=True)
class Packets:
    """Added up over readings of the recorder's leg that counted them.

    `lost` are all that did not come at their first attempt, `upstream` those of them that never reached
    LiveKit's server (None where no reading could tell), `repaired` the retransmissions that came.
    """

    received: int
    lost: int
    upstream: int | None
    repaired: int

    @classmethod
    def of(cls, readings: Iterable[QualityRead]) -> "Packets":
        counted = [r for r in readings if r.packets_lost is not None and r.packets_received is not None]
        told = [r.packets_lost_upstream for r in counted if r.packets_lost_upstream is not None]
        return cls(
            received=sum(r.packets_received or 0 for r in counted),
            lost=sum(r.packets_lost or 0 for r in counted) + sum(told),
            upstream=sum(told) if told else None,
            repaired=sum(r.packets_repaired or 0 for r in counted),
        )

    @property
    def by_leg(self) -> dict[Leg, float | None]:
        """Percent of what was sent on each leg that was lost on it."""
        on_leg = self.lost - (self.upstream or 0)
        upstream = None if self.upstream is None else _share(self.upstream, self.lost + self.received)
        return {"client_to_sfu": upstream, "sfu_to_recorder": _share(on_leg, on_leg + self.received)}

    @property
    def post_repair_loss(self) -> float | None:
        """What stayed lost (RFC 5725), in percent."""
        return _share(max(self.lost - self.repaired, 0), self.lost + self.received)


def _share(part: int, whole: int) -> float | None:
    return _rounded(100 * part / whole) if whole else None


def loss_percentage(readings: Iterable[QualityRead]) -> float | None:
    """100 x lost / (lost + received), of all intervals and both legs; None when no packet was counted."""
    packets = Packets.of(readings)
    total = packets.lost + packets.received
    return 100 * packets.lost / total if total else None


def weighted_mean(weighted: Iterable[tuple[float, float]]) -> float | None:
    """Mean of (value, weight) pairs, e.g. by seconds; None when all weigh nothing."""
    pairs = list(weighted)
    whole = sum(weight for _, weight in pairs)
    return sum(value * weight for value, weight in pairs) / whole if whole > 0 else None


def connection_quality_in_words(states: Iterable[QualityState]) -> str:
    """Time-weighted score as a word: >= 3.5 excellent, >= 2.5 good, >= 1.5 fair, else poor; or unknown."""
    score = weighted_mean((_SCORES[s.quality], (s.end - s.begin).total_seconds()) for s in states)
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
    packets = Packets.of(own)
    return {
        "average_bitrate": _rounded(weighted_mean((r.bitrate_kbps, r.seconds) for r in main)),
        "average_fps": _rounded(weighted_mean((r.fps, r.seconds) for r in main if r.fps is not None)),
        "packet_loss_percentage": _rounded(loss_percentage(own)),
        "packet_loss_by_leg": packets.by_leg,
        "post_repair_loss_percentage": packets.post_repair_loss,
        **_as_perceived(own),
        "connection_quality_average": connection_quality_in_words(states),
        "total_readings": len(own),
    }


def _as_perceived(readings: list[QualityRead]) -> dict[str, float | int | None]:
    """What a listener and a viewer noticed.

    The mean opinion score is weighted by packets: in a pause, when few are sent, nothing can sound bad.
    """
    scores = [(r.mos, float(_packets(r))) for r in readings if r.mos is not None]
    heard = [(r.concealed_percentage, r.seconds) for r in readings if r.concealed_percentage is not None]
    seen = [r for r in readings if r.freeze_count is not None]
    return {
        "average_mos": _rounded(weighted_mean(scores)),
        "concealed_percentage": _rounded(weighted_mean(heard)),
        "freeze_count": sum(r.freeze_count or 0 for r in seen) if seen else None,
        "freeze_seconds": _rounded(sum(r.freeze_seconds or 0.0 for r in seen)) if seen else None,
    }


def _packets(reading: QualityRead) -> int:
    told = (reading.packets_received, reading.packets_lost, reading.packets_lost_upstream)
    return sum(packets or 0 for packets in told)


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 3)
