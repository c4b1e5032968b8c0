"""A session is the fold of its events.

The fold does not depend on the order in which events are applied, and applying one twice changes nothing:
each is kept by what it is about, and everything else is derived when asked. So a journal that a second
recorder continued, or into which a spool was replayed late, folds to the same session.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, fields, replace
from datetime import datetime
from typing import Any
from uuid import UUID

from agent.session.bounds import MOST, beyond, size_of
from agent.session.connection import QualityState, states_of
from agent.session.coverage import Known, coverage
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
from agent.session.missing import missing, with_words
from agent.session.ownership import Owner, best
from agent.session.reasons import OWN_WORDS_REFUSED
from agent.session.roles import owners_among
from agent.session.rooms import SessionInfo, speaker_of
from agent.session.spans import Span
from agent.session.stays import (
    ENDED_BY_PARTICIPANT,
    RECORDER_LOST,
    Attendance,
    Stay,
    attendance,
    clipped,
    presence,
)
from agent.session.transcript import entry_of, in_order

__all__ = ["ENDED_BY_PARTICIPANT", "RECORDER_LOST", "Session", "Stay", "fold"]

ROOM_EMPTY = "room_empty"
ROOM_CLOSED = "room_closed"  # over the heads of those who were there
TOLD_BY_CLIENT = "told_by_client"  # no recorder has seen anything of the session


@dataclass(slots=True)
class _Told:
    """What was told of one participant, or (microphones and scores aside) of the whole room."""

    utterances: dict[UtteranceHeard, None] = field(default_factory=dict)  # in the order in which they came
    microphones: list[MicrophoneChanged] = field(default_factory=list)
    readings: list[QualityRead] = field(default_factory=list)
    scores: list[ConnectionQualityChanged] = field(default_factory=list)
    gaps: list[GapNoted] = field(default_factory=list)
    segments: dict[tuple[str | None, str, datetime], UtteranceHeard] = field(default_factory=dict)

    def copy(self) -> "_Told":
        return _Told(*(getattr(self, kept.name).copy() for kept in fields(self)))

    def say(self, event: UtteranceHeard) -> None:
        """Of one segment the text that ended last; one that began at another time only has its name."""
        if event.segment is not None:
            about = event.sent_by, event.segment, event.at
            known = self.segments.setdefault(about, event)
            if (known.end, known.text) > (event.end, event.text):
                return
            if known is not event:
                del self.utterances[known]
                self.segments[about] = event
        self.utterances[event] = None


@dataclass(slots=True)
class Session:
    """What is known of a session so far."""

    info: SessionInfo
    last_evidence: datetime | None = None  # the latest moment of which anything is known
    _seen: set[Event] = field(default_factory=set)
    _joins: dict[str, ParticipantJoined] = field(default_factory=dict)
    _leaves: dict[str, datetime] = field(default_factory=dict)
    _endings: list[SessionEnded] = field(default_factory=list)
    _told: dict[str | None, _Told] = field(default_factory=dict)  # by identity
    _attendance: tuple[UUID | None, Attendance] | None = None
    _size: int = 0  # of all own words
    _refusal: tuple[int, set[int]] = field(default_factory=lambda: (0, set()))  # at which size, and which

    def apply(self, event: Event) -> bool:
        """Take the event in; False when it was known already."""
        if event in self._seen:
            return False
        self._seen.add(event)
        moment = evidence(event)
        self.last_evidence = max(self.last_evidence or moment, moment)
        match event:
            case ParticipantJoined():
                known = self._joins.get(event.participant_sid, event)
                self._joins[event.participant_sid] = max(known, event, key=_truth)
                self._attendance = None
            case ParticipantLeft():
                left_at = self._leaves.get(event.participant_sid, event.at)
                self._leaves[event.participant_sid] = min(left_at, event.at)
                self._attendance = None
            case SessionEnded():
                self._endings.append(event)
                self._attendance = None
            case _:
                self._size += size_of(event) if isinstance(event, UtteranceHeard) else 0
                _keep(self._told.setdefault(event.identity, _Told()), event)
        return True

    def copy(self) -> "Session":
        """As it stands now, for another thread to tell of; it takes no events in."""
        self._attended()
        told = {identity: told.copy() for identity, told in self._told.items()}
        return replace(self, _seen=set(), _endings=list(self._endings), _told=told)

    def _attended(self) -> Attendance:
        # By the room's metadata alone: who owns it for having saved it is not the student for that.
        student = self.info.user_id if self.info.proof == "metadata" else None
        if self._attendance is None or self._attendance[0] != student:
            found = attendance(self._joins.values(), self._leaves, self._endings, student)
            self._attendance = student, found
        return self._attendance[1]

    @property
    def stays(self) -> Sequence[Stay]:
        """All stays, by the time they began."""
        return self._attended().stays

    @property
    def present(self) -> list[Stay]:
        """Those who have not left."""
        return [stay for stay in self.stays if stay.left_at is None]

    @property
    def start_time(self) -> datetime | None:
        """When the first participant joined; None while nobody has."""
        return self.stays[0].joined.at if self.stays else None

    @property
    def ending(self) -> SessionEnded | None:
        """How the session ended; None while it goes on, which it does again after a later join."""
        return self._attended().ending

    def role(self, identity: str) -> Role:
        """What somebody is in this session; of several stays, the last that tells."""
        stays = self._attended().of.get(identity, ())
        roles = (stay.joined.role for stay in reversed(stays))
        return next((role for role in roles if role != "participant"), "participant")

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

    @property
    def utterances(self) -> list[UtteranceHeard]:
        """All speech whose words are known."""
        return [utterance for told in self._told.values() for utterance in told.utterances]

    def transcript(self) -> list[dict[str, Any]]:
        """The words, in the order in which they began; nothing twice."""
        said = (u for identity in self._told for u in self._said(identity) if u.text)
        speakers = {identity: speaker_of(self.role(identity)) for identity in self._attended().of}
        return [entry_of(line, speakers.get(line.said.identity, "participant")) for line in in_order(said)]

    def quality_metrics(self) -> dict[str, Any]:
        """The session's averages, and each participant's."""
        states = {identity: self._states(identity) for identity in sorted(self._attended().of)}
        everyone = [state for own in states.values() for state in own]
        everything = [reading for told in self._told.values() for reading in told.readings]
        figures = averages(everything, everyone, self.info.mode)
        figures["participants"] = {
            identity: averages(self._of(identity).readings, own, self.info.mode)
            for identity, own in states.items()
        }
        return figures

    def gaps(self) -> list[dict[str, Any]]:
        """What was missed, when and why; not the speech whose words came after all."""
        missed = {gap for identity in self._told for gap in self._missing(identity)}
        return [
            {"what": g.what, "from": iso(g.at), "until": iso(g.until), "reason": g.reason}
            | ({"identity": g.identity} if g.identity else {})
            | ({"track": g.track} if g.track else {})
            for g in sorted(missed, key=_order)
        ]

    def coverage(self) -> dict[str, Any]:
        """How much of what was said is in the record."""
        return coverage({identity: self._known(identity) for identity in self._attended().of})

    def _known(self, identity: str) -> Known:
        gaps = [*self._missing(identity), *self._of(None).gaps]
        return Known(
            stays=self._present(identity),
            microphones=self._of(identity).microphones,
            told=with_words(self._said(identity)),
            gaps=[gap for gap in gaps if gap.what in ("transcript", "everything") and gap.track is None],
        )

    def _missing(self, identity: str | None) -> list[GapNoted]:
        if identity is None:
            return self._of(None).gaps
        refused = self._refused(identity)
        noted = self._of(identity).gaps
        of_words = joined(missing(identity, self._said(identity), self._states(identity), noted))
        return [*of_words, *([refused] if refused else [])]

    def _said(self, identity: str | None) -> list[UtteranceHeard]:
        """Their utterances, own words within their stays; of whom nobody saw, as they are."""
        beyond = self._beyond()
        utterances = [u for u in self._of(identity).utterances if not beyond or id(u) not in beyond]
        stays = self._attended().of.get(identity or "")
        if not stays:
            return utterances
        there = presence(stays)
        return [clipped(utterance, there) for utterance in utterances]

    def _beyond(self) -> set[int]:
        """Own words, by `id`, that are more than a record can hold."""
        if self._refusal[0] != self._size:
            own = (u for u in self.utterances if u.source == "data" and u.text)
            self._refusal = self._size, beyond(own) if self._size > MOST else set()
        return self._refusal[1]

    def _refused(self, identity: str) -> GapNoted | None:
        """From the first to the last of their own words that the record cannot hold."""
        beyond = self._beyond()
        refused = [u for u in self._of(identity).utterances if id(u) in beyond] if beyond else []
        if not refused:
            return None
        begin, until = min(u.at for u in refused), max(u.end for u in refused)
        return GapNoted(at=begin, until=until, what="transcript", reason=OWN_WORDS_REFUSED, identity=identity)

    def _present(self, identity: str) -> list[Span]:
        last = self.last_evidence
        return presence(self._attended().of.get(identity, ()), last) if last else []

    def _states(self, identity: str) -> list[QualityState]:
        stays = self._attended().of.get(identity, ())
        spans = [(stay.joined.at, stay.left_at or self.last_evidence) for stay in stays]
        return states_of(self._of(identity).scores, spans) if spans else []

    def _of(self, identity: str | None) -> _Told:
        return self._told.get(identity) or _Told()


def _keep(told: _Told, event: Event) -> None:
    match event:
        case UtteranceHeard():
            told.say(event)
        case MicrophoneChanged():
            told.microphones.append(event)
        case QualityRead():
            told.readings.append(event)
        case ConnectionQualityChanged():
            told.scores.append(event)
        case GapNoted():
            told.gaps.append(event)


def _order(gap: GapNoted) -> tuple[datetime, str, str, datetime, str, str]:
    return gap.at, gap.what, gap.identity or "", gap.until, gap.reason, gap.track or ""


def _truth(join: ParticipantJoined) -> tuple[datetime, bool, bool, float, str, str, str, str]:
    """What was observed last holds; of joins without that time (from before) what tells more."""
    tie = (-join.at.timestamp(), join.role, join.name, join.user_id or "", join.kind or "")
    return join.observed or join.at, join.role != "participant", join.user_id is not None, *tie


def fold(info: SessionInfo, events: Iterable[Event]) -> Session:
    """The session that these events make."""
    session = Session(info)
    for event in events:
        session.apply(event)
    return session
