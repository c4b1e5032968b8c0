"""What a record holds of what happened, and whether what it lacks is excused and noted.

Excused is only what was said in the last second before a recorder was lost, or before another listened. All
that is lacking has to lie inside a gap that the record notes.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

from agent.session.spans import Span, seconds, union, within, without
from bench.disasters.people import Said, Stay, Truth

BEFORE_KILL = timedelta(seconds=1)  # so much may be lost before a kill
ARRIVING = timedelta(seconds=0.5)  # said just as the successor began to listen
LEFT_SEEN = 1.0  # s between a client's leave and the record's
LEFT_UNSEEN = 4.0  # the same, where no recorder lived to see it: a lease is renewed every 3.3 s
HEARD_SHARE = 0.6  # of a sentence's span, for it to be in the record: Whisper's times are of the whole cut
UNNOTED_SECONDS = 1.0  # of a sentence that may lie outside entries and gaps: what detection cuts at its ends
OVERLAP = timedelta(seconds=0.2)


@dataclass(frozen=True)
class Loss:
    """No recorder listened, from then to then."""

    begin: datetime
    end: datetime

    def excuses(self, said: Said) -> bool:
        return said.end >= self.begin - BEFORE_KILL and said.begin <= self.end + ARRIVING

    def hides(self, stay: Stay) -> bool:
        """Who came in the last second before and left before its end may have been seen by nobody."""
        left = stay.left_at is not None and stay.left_at <= self.end
        return left and stay.joined_at >= self.begin - BEFORE_KILL


@dataclass
class Findings:
    """Of one room: what is wrong with its record."""

    room: str
    saved: bool = False
    doubled: int = 0
    wrong_stays: list[str] = field(default_factory=list)
    left_off: list[float] = field(default_factory=list)  # s between a leave and the recorded one
    said: int = 0
    lost: list[Said] = field(default_factory=list)  # and not excused
    missed: int = 0  # lacking, excused or not
    unnoted: list[Said] = field(default_factory=list)  # lacking, and in no gap


def judge(truth: Truth, record: Mapping[str, Any] | None, rows: int, losses: Sequence[Loss] = ()) -> Findings:
    """`rows`: how many sessions the database has of this room."""
    found = Findings(truth.room, saved=record is not None and record["status"] == "completed")
    if record is None:
        return found
    found.doubled = max(rows - 1, 0) + _doubled(record["transcript"])
    found.said = len(truth.said)
    _judge_stays(found, truth, record, losses)
    _judge_words(found, truth, record, losses)
    return found


def _doubled(transcript: Sequence[Mapping[str, Any]]) -> int:
    texts = [entry["text"] for entry in transcript if entry["source"] == "data"]
    heard = sorted(
        (e["identity"], *_times(e)) for e in transcript if e["source"] == "whisper" and e.get("track") is None
    )
    overlapping = sum(
        1 for one, other in pairwise(heard) if one[0] == other[0] and one[2] - other[1] > OVERLAP
    )
    return len(texts) - len(set(texts)) + overlapping


def _judge_stays(found: Findings, truth: Truth, record: Mapping[str, Any], losses: Sequence[Loss]) -> None:
    recorded = {stay["participant_sid"]: stay for stay in record["participants"]}
    stays = {s.participant_sid for s in truth.stays}
    unseeable = {s.participant_sid for s in truth.stays if any(loss.hides(s) for loss in losses)}
    twice = len(recorded) != len(record["participants"])
    if twice or not stays - unseeable <= set(recorded) <= stays:
        found.wrong_stays.append(f"{len(record['participants'])} stays, not {len(truth.stays)}")
    for stay in truth.stays:
        row = recorded.get(stay.participant_sid)
        if row is None:
            continue
        if row["joined_at"] != stay.joined_at:
            found.wrong_stays.append(f"{stay.identity} joined {row['joined_at'] - stay.joined_at} off")
        if row["left_at"] is None or stay.left_at is None:
            found.wrong_stays.append(f"{stay.identity} has not left")
            continue
        off = abs((row["left_at"] - stay.left_at).total_seconds())
        unseen = next((x for x in losses if x.begin - BEFORE_KILL <= stay.left_at <= x.end), None)
        if unseen and unseen.begin <= row["left_at"] <= unseen.end + ARRIVING:
            continue  # who had left when the successor came
        found.left_off.append(off)
        if off > (LEFT_UNSEEN if unseen else LEFT_SEEN):
            found.wrong_stays.append(f"{stay.identity} left {off:.1f} s off")


def _judge_words(found: Findings, truth: Truth, record: Mapping[str, Any], losses: Sequence[Loss]) -> None:
    entries = record["transcript"]
    texts = {entry["text"] for entry in entries if entry["source"] == "data"}
    for said in truth.said:
        own = [Span(*_times(e)) for e in entries if e["identity"] == said.identity]
        gaps = list(_gaps(record, said.identity))
        span = Span(said.begin, said.end)
        if said.text is not None:
            lacking = said.text not in texts
            noted = any(gap.begin - BEFORE_KILL <= said.begin <= gap.end + ARRIVING for gap in gaps)
        else:
            heard = seconds(within([span], union(own)))
            lacking = heard < HEARD_SHARE * seconds([span])
            noted = seconds(without([span], union([*own, *gaps]))) <= UNNOTED_SECONDS
        if lacking:
            found.missed += 1
            if not any(loss.excuses(said) for loss in losses):
                found.lost.append(said)
            if not noted:
                found.unnoted.append(said)


def _gaps(record: Mapping[str, Any], identity: str) -> Iterable[Span]:
    for gap in record["gaps"]:
        if gap["what"] in ("everything", "transcript") and gap.get("identity") in (identity, None):
            yield Span(datetime.fromisoformat(gap["from"]), datetime.fromisoformat(gap["until"]))


def _times(entry: Mapping[str, Any]) -> tuple[datetime, datetime]:
    return datetime.fromisoformat(entry["timestamp"]), datetime.fromisoformat(entry["end"])
