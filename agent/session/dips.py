"""Where a call was at its worst, and what was being said just then."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from statistics import median
from typing import Any

LOSS = 3.0  # percent of packets from which speech and picture suffer
_PACKETS = 50  # in an interval, to speak of percent at all
_FPS_SHARE = 0.6  # of the track's median
_FROZEN = 1.0  # seconds in which the picture stood still
_TOGETHER = timedelta(seconds=1)  # dips no further apart are one
_MOS = 3.6  # below it many listeners are dissatisfied (ITU-T G.107, annex B)


@dataclass(frozen=True, slots=True)
class Dip:
    """An interval in which one person's sound or picture was bad; `reading` is the worst of it."""

    identity: str
    source: str
    begin: datetime
    end: datetime
    what: str
    words: Mapping[str, Any] | None  # of the transcript


def loss_of(reading: Mapping[str, Any]) -> float | None:
    """Percent of an interval's packets that were lost, on both legs together."""
    lost = (reading["packets_lost"] or 0) + (reading["packets_lost_upstream"] or 0)
    sent = lost + (reading["packets_received"] or 0)
    return 100 * lost / sent if sent and reading["packets_lost"] is not None else None


def begin_of(reading: Mapping[str, Any]) -> datetime:
    """When a reading's interval began."""
    end: datetime = reading["read_at"]
    return end - timedelta(seconds=reading["seconds"] or 0)


def dips(
    readings: Iterable[Mapping[str, Any]], transcript: Sequence[Mapping[str, Any]], most: int
) -> list[Dip]:
    """The worst moments of the recorder's leg, in order of time."""
    tracks: dict[str, list[Mapping[str, Any]]] = {}
    for reading in readings:
        if reading["leg"] == "sfu_to_recorder":
            tracks.setdefault(reading["track_sid"], []).append(reading)
    found: list[tuple[float, Dip]] = []
    for track in tracks.values():
        usual = median([r["fps"] for r in track if r["fps"] is not None] or [0.0])
        for reading in track:
            badness, what = _worst(reading, usual)
            if what:
                begin, end = begin_of(reading), reading["read_at"]
                found.append((badness, Dip(reading["identity"], reading["source"], begin, end, what, None)))
    worst = sorted(_apart(found), key=lambda b: -b[0])[:most]
    told = [replace(dip, words=_said_in(dip, transcript)) for _, dip in worst]
    return sorted(told, key=lambda d: (d.begin, d.identity, d.source))


def _apart(found: Iterable[tuple[float, Dip]]) -> list[tuple[float, Dip]]:
    """Of one person's dips that follow one another, or are of the same time, the worst."""
    kept: list[tuple[float, Dip]] = []
    until: dict[str, datetime] = {}
    for badness, dip in sorted(found, key=lambda b: (b[1].identity, b[1].begin, -b[0])):
        follows = dip.identity in until and dip.begin - until[dip.identity] <= _TOGETHER
        until[dip.identity] = max(dip.end, until.get(dip.identity, dip.end))
        if not follows:
            kept.append((badness, dip))
        elif badness > kept[-1][0]:
            kept[-1] = (badness, dip)
    return kept


def _worst(reading: Mapping[str, Any], usual_fps: float) -> tuple[float, str]:
    """How bad, on a scale of its own on which 1 is just worth telling, and in which way."""
    loss, mos = loss_of(reading), reading["mos"]
    packets = (reading["packets_received"] or 0) + (reading["packets_lost"] or 0)
    ways = [(0.0, "")]
    if loss is not None and loss >= LOSS and packets >= _PACKETS:
        ways.append((loss / LOSS, f"{loss:.1f} % of packets lost"))
    if (frozen := reading["freeze_seconds"] or 0) >= _FROZEN:
        ways.append((frozen / _FROZEN, f"picture frozen for {frozen:.1f} s"))
    if (fps := reading["fps"]) is not None and usual_fps > 5 and fps < _FPS_SHARE * usual_fps:
        ways.append((usual_fps / max(fps, 1) / 2, f"{fps:.0f} pictures a second"))
    if mos is not None and mos < _MOS and packets >= _PACKETS:
        ways.append((1 + _MOS - mos, f"voice quality {mos:.1f} of 4.4"))
    return max(ways)


def _said_in(dip: Dip, transcript: Sequence[Mapping[str, Any]]) -> Mapping[str, Any] | None:
    """What this person said then, else what anybody did."""
    then = [
        entry
        for entry in transcript
        if datetime.fromisoformat(entry["timestamp"]) < dip.end
        and datetime.fromisoformat(entry.get("end") or entry["timestamp"]) > dip.begin
    ]
    own = (entry for entry in then if entry.get("identity") == dip.identity)
    return next(own, then[0] if then else None)
