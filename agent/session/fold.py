"""A session is the fold of its events.

The fold does not depend on the order in which events are applied, and applying one twice changes nothing:
each is kept by what it is about, and everything else is derived when asked. So a journal that a second
recorder continued, or into which a spool was replayed late, folds to the same session.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from agent.session.connection import QualityState, states_of
from agent.session.coverage import TRANSCRIPTION_UNAVAILABLE, Known, coverage
from agent.session.events import (
    ConnectionQualityChanged,
    Event,
    GapNoted,
    MicrophoneChanged,
    ParticipantJoined,
    ParticipantLeft,
    QualityRead,
    Role,
    SessionEnded,
    UtteranceHeard,
    evidence,
    iso,
)
from agent.session.gaps import joined
from agent.session.metrics import averages
from agent.session.ownership import Owner, best
from agent.session.roles import owners_among, with_the_student
from agent.session.rooms import SessionInfo, speaker_of
from agent.session.spans import Span
from agent.session.transcript import in_order

ENDED_BY_PARTICIPANT = "ended_by_participant"
ROOM_EMPTY = "room_empty"
ROOM_CLOSED = "room_closed"  # over the heads of those who were there
CONNECTION_LOST = "connection_lost"  # LiveKit heard nothing more of a participant who had not left
TOLD_BY_CLIENT = "told_by_client"  # no recorder has seen anything of the session
RECORDER_LOST = "recorder_lost"  # nobody saw the end: it is where the last evidence is


@dataclass(frozen=True, slots=True)
class Stay:
    """One presence of one participant, from join to leave; `left_at` is None while present."""

    joined: ParticipantJoined
    left_at: datetime | None


@dataclass(slots=True)
class Session:
    """What is known of a session so far."""

    info: SessionInfo
    _seen: set[Event] = field(default_factory=set)
    _joins: dict[str, ParticipantJoined] = field(default_factory=dict)
    _leaves: dict[str, datetime] = field(default_factory=dict)
    _utterances: list[UtteranceHeard] = field(default_factory=list)
    _microphones: list[MicrophoneChanged] = field(default_factory=list)
    _readings: list[QualityRead] = field(default_factory=list)
    _quality: list[ConnectionQualityChanged] = field(default_factory=list)
    _gaps: list[GapNoted] = field(default_factory=list)
    _endings: list[SessionEnded] = field(default_factory=list)

    def apply(self, event: Event) -> bool:
        """Take the event in; False when it was known already."""
        if event in self._seen:
            return False
        self._seen.add(event)
        match event:
            case ParticipantJoined():
                known = self._joins.get(event.participant_sid, event)
                self._joins[event.participant_sid] = max(known, event, key=_truth)
            case ParticipantLeft():
                left_at = self._leaves.get(event.participant_sid, event.at)
                self._leaves[event.participant_sid] = min(left_at, event.at)
            case UtteranceHeard():
                self._utterances.append(event)
            case MicrophoneChanged():
                self._microphones.append(event)
            case QualityRead():
                self._readings.append(event)
            case ConnectionQualityChanged():
                self._quality.append(event)
            case GapNoted():
                self._gaps.append(event)
            case SessionEnded():
                self._endings.append(event)
        return True

    @property
    def stays(self) -> list[Stay]:
        """All stays, by the time they began."""
        told = sorted(self._joins.values(), key=lambda join: (join.at, join.participant_sid))
        # By the room's metadata alone: who owns it for having saved it is not the student for that.
        joins = with_the_student(told, self.info.user_id if self.info.proof == "metadata" else None)
        ending = self.ending
        lost_at = ending.at if ending and ending.reason == RECORDER_LOST else None
        leaves = ((join, self._leaves.get(join.participant_sid, lost_at)) for join in joins)
        # LiveKit's clock says when someone joined, ours when they left: a stay never ends before it began.
        return [Stay(join, max(left_at, join.at) if left_at else None) for join, left_at in leaves]

    @property
    def present(self) -> list[Stay]:
        """Those who have not left."""
        return [stay for stay in self.stays if stay.left_at is None]

    @property
    def start_time(self) -> datetime | None:
        """When the first participant joined; None while nobody has."""
        return min((join.at for join in self._joins.values()), default=None)

    @property
    def ending(self) -> SessionEnded | None:
        """How the session ended; None while it goes on, which it does again after a later join.

        Whoever lingers after a participant ended the session moves its end, not its reason.
        """
        last_join = max((join.at for join in self._joins.values()), default=None)
        valid = sorted(
            (e for e in self._endings if last_join is None or e.at >= last_join),
            key=lambda e: (e.at, e.reason),
        )
        if not valid:
            return None
        asked = next((e for e in valid if e.reason == ENDED_BY_PARTICIPANT), valid[-1])
        return SessionEnded(at=valid[-1].at, reason=asked.reason)

    @property
    def last_evidence(self) -> datetime | None:
        """The latest moment of which anything is known."""
        return max(map(evidence, self._seen), default=None)

    def role(self, identity: str) -> Role:
        """What somebody is in this session; of several stays, the last that tells."""
        told: Role = "participant"
        for stay in self.stays:
            if stay.joined.identity == identity and stay.joined.role != "participant":
                told = stay.joined.role
        return told

    @property
    def owner(self) -> Owner | None:
        """Whose session it is: by the room's metadata, else by the first student who is proven best."""
        students = owners_among(stay.joined for stay in self.stays)
        return best([*([self.info.owner] if self.info.owner else []), *students])

    @property
    def user_id(self) -> str | None:
        return str(self.owner.user_id) if self.owner else None

    @property
    def viewers(self) -> list[UUID]:
        """Who was seen in the room under their user id."""
        return sorted({UUID(s.joined.user_id) for s in self.stays if s.joined.user_id})

    def transcript(self) -> list[dict[str, Any]]:
        """The words, in the order in which they began; nothing twice."""
        known_last = sorted(self.stays, key=lambda stay: stay.joined.role != "participant")
        speakers = {stay.joined.identity: speaker_of(stay.joined.role) for stay in known_last}
        return [
            {
                "speaker": speakers.get(u.identity, "participant"),
                "text": u.text,
                "timestamp": iso(u.at),
                "end": iso(u.end),
                "identity": u.identity,
                "source": u.source,
            }
            | ({"language": u.language} if u.language else {})
            | ({"track": u.track} if u.track else {})
            for u in in_order(u for u in self._utterances if u.text)
        ]

    def quality_metrics(self) -> dict[str, Any]:
        """The session's averages, and each participant's."""
        states = {
            identity: self._states(identity) for identity in sorted({s.joined.identity for s in self.stays})
        }
        everyone = [state for own in states.values() for state in own]
        figures = averages(self._readings, everyone, self.info.mode)
        figures["participants"] = {
            identity: averages([r for r in self._readings if r.identity == identity], own, self.info.mode)
            for identity, own in states.items()
        }
        return figures

    @property
    def utterances(self) -> list[UtteranceHeard]:
        """All speech whose words are known."""
        return list(self._utterances)

    def gaps(self) -> list[dict[str, Any]]:
        """What was missed, when and why; not the utterances whose words came after all."""
        come = {(u.identity, u.at, u.end) for u in self._utterances}
        missed = [
            g
            for g in self._all_gaps()
            if g.reason != TRANSCRIPTION_UNAVAILABLE or (g.identity, g.at, g.until) not in come
        ]
        return [
            {"what": g.what, "from": iso(g.at), "until": iso(g.until), "reason": g.reason}
            | ({"identity": g.identity} if g.identity else {})
            for g in sorted(missed, key=lambda g: (g.at, g.what, g.identity or "", g.until, g.reason))
        ]

    def coverage(self) -> dict[str, Any]:
        """How much of what was said is in the record."""
        identities = {stay.joined.identity for stay in self.stays}
        gaps = [gap for gap in self._all_gaps() if gap.what in ("transcript", "everything")]
        return coverage({identity: self._known(identity, gaps) for identity in identities})

    def _known(self, identity: str, gaps: list[GapNoted]) -> Known:
        last = self.last_evidence
        stays = [s for s in self.stays if s.joined.identity == identity]
        return Known(
            stays=[Span(s.joined.at, until) for s in stays if (until := s.left_at or last)],
            microphones=[m for m in self._microphones if m.identity == identity],
            utterances=[u for u in self._utterances if u.identity == identity and u.track is None],
            gaps=[gap for gap in gaps if gap.identity in (identity, None)],
        )

    def _states(self, identity: str) -> list[QualityState]:
        stays = [s for s in self.stays if s.joined.identity == identity]
        spans = [(s.joined.at, s.left_at or self.last_evidence) for s in stays]
        return states_of((c for c in self._quality if c.identity == identity), spans)

    def _all_gaps(self) -> list[GapNoted]:
        """Those noted, and while someone's connection was lost: what they said then reached nobody."""
        people = {stay.joined.identity for stay in self.stays}
        lost = ((who, s) for who in people for s in self._states(who) if s.quality == "lost")
        seen = (
            GapNoted(at=s.begin, until=s.end, what="transcript", reason=CONNECTION_LOST, identity=who)
            for who, s in lost
        )
        return [*joined([*self._gaps, *seen])]


def _truth(join: ParticipantJoined) -> tuple[datetime, bool, bool, float, str, str, str]:
    """What was observed last holds; of joins without that time (from before) what tells more."""
    tie = (-join.at.timestamp(), join.role, join.name, join.user_id or "")
    return join.observed or join.at, join.role != "participant", join.user_id is not None, *tie


def fold(info: SessionInfo, events: Iterable[Event]) -> Session:
    """The session that these events make."""
    session = Session(info)
    for event in events:
        session.apply(event)
    return session
