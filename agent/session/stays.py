"""Who was there, from when to when, and how the session ended."""

from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from uuid import UUID

from agent.session.events import ParticipantJoined, SessionEnded, UtteranceHeard
from agent.session.roles import with_the_student
from agent.session.spans import Span, union

ENDED_BY_PARTICIPANT = "ended_by_participant"
RECORDER_LOST = "recorder_lost"  # nobody saw the end: it is where the last evidence is
_FOR_EVER = datetime.max.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Stay:
    """One presence of one participant, from join to leave; `left_at` is None while present."""

    joined: ParticipantJoined
    left_at: datetime | None


@dataclass(frozen=True, slots=True)
class Attendance:
    """All stays, by the time they began, each one's own, and the end; None while the session goes on."""

    stays: Sequence[Stay]
    of: Mapping[str, Sequence[Stay]]
    ending: SessionEnded | None


def attendance(
    joins: Iterable[ParticipantJoined],
    leaves: Mapping[str, datetime],
    endings: Iterable[SessionEnded],
    student: UUID | None,
) -> Attendance:
    """What joins, leaves (by participant sid) and endings come to; `student`: whom the room's metadata name.

    A session ends with its last person. Agents that stay on, or come later, neither prolong nor reopen it;
    one that never had a person ends with its last agent.
    """
    told = with_the_student(sorted(joins, key=lambda join: (join.at, join.participant_sid)), student)
    people = [join for join in told if join.kind is None] or told
    last_join = max((join.at for join in people), default=None)
    valid = sorted(
        (e for e in endings if last_join is None or e.at >= last_join), key=lambda e: (e.at, e.reason)
    )
    lost_at = valid[-1].at if valid and valid[-1].reason == RECORDER_LOST else None
    stays = [Stay(join, _left(join, leaves.get(join.participant_sid, lost_at))) for join in told]
    own: dict[str, list[Stay]] = {}
    for stay in stays:
        own.setdefault(stay.joined.identity, []).append(stay)
    return Attendance(stays, own, _ending(valid, _agents_alone_since(stays)))


def _left(join: ParticipantJoined, left_at: datetime | None) -> datetime | None:
    """LiveKit's clock says when someone joined, ours when they left: a stay never ends before it began."""
    return max(left_at, join.at) if left_at else None


def _agents_alone_since(stays: Sequence[Stay]) -> datetime | None:
    """When the last person left, where an agent stayed on or came later."""
    leaves = [stay.left_at for stay in stays if stay.joined.kind is None]
    known = [left_at for left_at in leaves if left_at is not None]
    if not known or len(known) < len(leaves):
        return None
    last = max(known)
    agents = (stay.left_at for stay in stays if stay.joined.kind == "agent")
    return last if any(left_at is None or left_at > last for left_at in agents) else None


def _ending(valid: Sequence[SessionEnded], alone_since: datetime | None) -> SessionEnded | None:
    """Whoever lingers after a participant ended the session moves its end, not its reason."""
    if not valid:
        return None
    seen = [e for e in valid if alone_since and e.at <= alone_since and e.reason != RECORDER_LOST]
    told = seen or (valid[-1:] if alone_since else valid)
    asked = next((e for e in told if e.reason == ENDED_BY_PARTICIPANT), told[-1])
    at = valid[-1].at if alone_since is None else min(valid[-1].at, alone_since)
    return SessionEnded(at=at, reason=asked.reason)


def presence(stays: Iterable[Stay], until: datetime = _FOR_EVER) -> list[Span]:
    """When somebody was there; whoever has not left is there `until` then."""
    return union(Span(s.joined.at, until if s.left_at is None else s.left_at) for s in stays)


def clipped(said: UtteranceHeard, there: Sequence[Span]) -> UtteranceHeard:
    """Own words in the stay in which they came: a sender may claim any time.

    Those that came while their speaker was not there stand where they came.
    """
    if said.source != "data" or not said.text:
        return said
    came = max(said.at, said.end)
    index = bisect_right(there, came, key=lambda span: span.begin) - 1
    at, end = came, came
    if index >= 0 and said.at <= there[index].end:
        at, end = max(said.at, there[index].begin), min(came, there[index].end)
    return said if (at, end) == (said.at, said.end) else replace(said, at=at, end=end)
