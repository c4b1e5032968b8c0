"""LiveKit's room events -> joined, left, connection quality; `agent.visits` knows of further stays.

Handlers never raise: the SDK would log the whole event, and events carry what people say.
"""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from typing import get_args
from uuid import UUID

import structlog
from livekit import rtc

from agent.clock import now
from agent.handlers import listen
from agent.recorder import Recorder
from agent.session.events import (
    ConnectionQuality,
    ConnectionQualityChanged,
    GapNoted,
    ParticipantJoined,
    ParticipantLeft,
    Role,
    SessionEnded,
    milliseconds,
)
from agent.session.fold import ROOM_CLOSED, ROOM_EMPTY
from agent.session.rooms import role_of, storable, user_id_of
from agent.session.user_ids import DEFAULT_NAMESPACE
from db.visits import Visit

log = structlog.stdlib.get_logger()

TELL_SECONDS = 1.0  # whoever changes their name more often is told of with the latest
_CLOSED = (rtc.DisconnectReason.ROOM_DELETED, rtc.DisconnectReason.ROOM_CLOSED)


def is_recorded(participant: rtc.RemoteParticipant) -> bool:
    """Everybody but egress and those who are hidden, as other recorders are."""
    return (
        participant.kind != rtc.ParticipantKind.PARTICIPANT_KIND_EGRESS and not participant.permissions.hidden
    )


def role_in_room(participant: rtc.RemoteParticipant) -> Role:
    """The role that a participant's attributes, metadata, identity and kind claim."""
    attributes, metadata = participant.attributes, participant.metadata
    return role_of(participant.identity, attributes, metadata, is_agent=_is_agent(participant))


def published_already(
    room: rtc.Room,
) -> Iterator[tuple[rtc.RemoteTrackPublication, rtc.RemoteParticipant]]:
    """What was published before we came: there is no `track_published` for it."""
    for participant in room.remote_participants.values():
        for publication in participant.track_publications.values():
            yield publication, participant


class Presence:
    """Follows who comes and goes."""

    def __init__(
        self,
        room: rtc.Room,
        recorder: Recorder,
        *,
        on_empty: Callable[[], None],
        namespace: UUID = DEFAULT_NAMESPACE,
    ) -> None:
        self._room = room
        self._recorder = recorder
        self._on_empty = on_empty
        self._namespace = namespace  # of user ids that are no UUIDs
        self._present: dict[str, str] = {}  # participant_sid -> identity
        self._told: dict[str, ParticipantJoined] = {}  # what was last told of each, by participant_sid
        # Of whom not more is told for a moment.
        self._telling: dict[str, tuple[asyncio.TimerHandle, rtc.RemoteParticipant]] = {}
        self._known: set[str] = set()  # every stay that we know of
        self.unseen: set[str] = set()  # those of the present whom our connection does not show yet
        self._cut_off_since: datetime | None = None
        self._over = asyncio.Event()  # our connection to the room has ended
        listen(room, "participant_connected", self._connected)
        listen(room, "participant_disconnected", self._disconnected)
        listen(room, "participant_attributes_changed", lambda _changed, who: self._told_more(who))
        listen(room, "participant_metadata_changed", lambda who, _old, _new: self._told_more(who))
        listen(room, "participant_name_changed", lambda who, _old, _new: self._told_more(who))
        listen(room, "connection_quality_changed", self._quality_changed)
        listen(room, "disconnected", self._room_disconnected)
        listen(room, "reconnecting", self._reconnecting)
        listen(room, "reconnected", self._reconnected)

    def note_those_already_here(self) -> None:
        """Whoever was in the room before us gets no `participant_connected`."""
        for participant in self._room.remote_participants.values():
            self._connected(participant)
        self._recorder.when_claimed(lambda _until: self._note_those_who_left_meanwhile())

    @property
    def known(self) -> set[str]:
        """Every stay that is noted, by participant_sid."""
        return self._known | {stay.joined.participant_sid for stay in self._recorder.session.stays}

    def visited(self, visit: Visit) -> None:
        """LiveKit tells of a stay, or its end, that our connection does not show, or not yet."""
        sid, left_at = visit.participant_sid, visit.left_at
        if sid not in self.known:
            self._present[sid] = visit.identity
            self.unseen.add(sid)
            self._note(
                ParticipantJoined(
                    at=milliseconds(visit.joined_at),
                    identity=visit.identity,
                    participant_sid=sid,
                    name=visit.name,
                    role=visit.role,
                    user_id=visit.user_id or self._user_id(visit.identity, {}),
                    kind="agent" if visit.is_agent else None,
                )
            )
            log.info("participant_joined", identity=visit.identity, role=visit.role, unseen=True)
            left_at = left_at or (now() if self._over.is_set() else None)
        if left_at is not None and sid in self.unseen:
            self._note_leave(sid, milliseconds(max(left_at, visit.joined_at)))

    def gone(self, participant_sid: str, at: datetime) -> None:
        """Somebody whom our connection never showed is there no more."""
        if participant_sid in self.unseen:
            self._note_leave(participant_sid, max(at, self._told[participant_sid].at))

    def _note_those_who_left_meanwhile(self) -> None:
        """Whom a recorder before us saw come, and nobody saw leave: they were gone when we came."""
        gone = [
            s.joined for s in self._recorder.session.present if s.joined.participant_sid not in self._present
        ]
        at = self._recorder.began_at
        for join in gone:
            sid = join.participant_sid
            self._recorder.record(
                ParticipantLeft(at=max(at, join.at), identity=join.identity, participant_sid=sid)
            )
        was_person = any(join.kind != "agent" for join in gone)
        if gone and not self._people() and (was_person or self._only_agents_ever()):
            self._recorder.record(SessionEnded(at=at, reason=ROOM_EMPTY))

    def room_names_another(self) -> None:
        """The room's metadata name another user now: whose identity stands for them is the student."""
        for participant in self._room.remote_participants.values():
            self._told_more(participant)

    def _connected(self, participant: rtc.RemoteParticipant) -> None:
        if not is_recorded(participant):
            return
        if participant.sid in self._present:
            if participant.sid in self.unseen:  # noted already
                self.unseen.discard(participant.sid)
                self._told_more(participant)
            return
        self._present[participant.sid] = participant.identity
        self._note_stay(participant)
        log.info("participant_joined", identity=participant.identity, role=role_in_room(participant))

    def _disconnected(self, participant: rtc.RemoteParticipant) -> None:
        """While we are cut off the SDK drops everybody: who has left is seen when we are back."""
        if self._cut_off_since is None and participant.sid in self._present:
            self._note_leave(participant.sid, max(now(), _joined_at(participant)))

    def _note_leave(self, participant_sid: str, at: datetime) -> None:
        self._tell_now(participant_sid)
        identity = self._present.pop(participant_sid)
        self.unseen.discard(participant_sid)
        told = self._told.pop(participant_sid, None)
        self._recorder.record(
            ParticipantLeft(at=at, identity=storable(identity), participant_sid=participant_sid)
        )
        log.info("participant_left", identity=identity)
        was_agent = told is not None and told.kind == "agent"
        if not self._people() and (not was_agent or self._only_agents_ever()):
            self._recorder.record(SessionEnded(at=at, reason=ROOM_EMPTY))
            self._on_empty()

    def _people(self) -> bool:
        """Whether somebody is there who is no agent: an agent alone holds no session."""
        told = (self._told.get(sid) for sid in self._present)
        return any(join is None or join.kind != "agent" for join in told)

    def _only_agents_ever(self) -> bool:
        """A room without people ends with its last agent."""
        return not self._present and self._never_a_person()

    def _never_a_person(self) -> bool:
        return all(stay.joined.kind == "agent" for stay in self._recorder.session.stays)

    def _told_more(self, participant: rtc.Participant) -> None:
        """Once a second at most: a participant can change what they are called a thousand times."""
        sid = participant.sid
        if sid in self._telling or sid not in self._present:
            return
        if isinstance(participant, rtc.RemoteParticipant) and self._note_stay(participant):
            timer = asyncio.get_running_loop().call_later(TELL_SECONDS, self._tell_latest, participant)
            self._telling[sid] = timer, participant

    def _tell_latest(self, participant: rtc.RemoteParticipant) -> None:
        self._telling.pop(participant.sid, None)
        self._told_more(participant)

    def _tell_now(self, participant_sid: str) -> None:
        """Nothing more of them can change."""
        if (telling := self._telling.pop(participant_sid, None)) is not None:
            timer, participant = telling
            timer.cancel()
            self._note_stay(participant)

    def _note_stay(self, participant: rtc.RemoteParticipant) -> bool:
        """Only what is new of them: agents change attributes that say nothing to us at every turn."""
        return self._note(
            ParticipantJoined(
                at=_joined_at(participant),
                identity=storable(participant.identity),
                participant_sid=participant.sid,
                name=storable(participant.name),
                role=role_in_room(participant),
                user_id=self._user_id(participant.identity, participant.attributes),
                kind="agent" if _is_agent(participant) else None,
            )
        )

    def _note(self, join: ParticipantJoined) -> bool:
        """Whether that was new."""
        self._known.add(join.participant_sid)
        if self._told.get(join.participant_sid) == join:
            return False
        self._told[join.participant_sid] = join
        self._recorder.record(replace(join, observed=now()))
        return True

    def _user_id(self, identity: str, attributes: dict[str, str]) -> str | None:
        student = self._recorder.session.info.user_id
        return user_id_of(identity, attributes, self._namespace, student=student)

    def _quality_changed(self, participant: rtc.Participant | None, quality: rtc.ConnectionQuality) -> None:
        if participant is None or participant.sid not in self._present:
            return
        word = rtc.ConnectionQuality(quality).name.removeprefix("QUALITY_").lower()
        for known in get_args(ConnectionQuality):
            if word == known:
                self._recorder.record(
                    ConnectionQualityChanged(at=now(), identity=storable(participant.identity), quality=known)
                )

    async def told_of_the_end(self, within: float) -> None:
        """Wait, so many seconds at most, whether the room was closed over those who are in it.

        LiveKit tells the job to end and the room that it is closed over two connections: either may be first.
        """
        if self._present:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._over.wait(), within)

    def _room_disconnected(self, reason: rtc.DisconnectReason.ValueType) -> None:
        """A room that is closed takes everyone along; if only we were disconnected, they are still there."""
        self._over.set()
        self._note_cut_off()
        for sid in list(self._telling):
            self._tell_now(sid)
        if reason not in _CLOSED or not self._present:
            return
        at, ends = now(), self._people() or self._never_a_person()
        for sid, identity in self._present.items():
            self._recorder.record(ParticipantLeft(at=at, identity=storable(identity), participant_sid=sid))
        self._present.clear()
        self.unseen.clear()
        if ends:
            self._recorder.record(SessionEnded(at=at, reason=ROOM_CLOSED))

    def _reconnecting(self) -> None:
        """Perhaps several times, until the SDK is back or gives up."""
        if self._cut_off_since is None:
            self._cut_off_since = now()
            log.warning("recorder_reconnecting")

    def _reconnected(self) -> None:
        """Whoever is not there any more left meanwhile; whoever is new came meanwhile.

        Where LiveKit's server restarted, everybody is new, and some were back before us.
        """
        since = self._note_cut_off()
        if since is not None:
            log.info("recorder_reconnected")
            here = {participant.sid for participant in self._room.remote_participants.values()}
            for participant_sid in [sid for sid in self._present if sid not in here | self.unseen]:
                self._note_leave(participant_sid, since)
        self.note_those_already_here()

    def _note_cut_off(self) -> datetime | None:
        """We see again, or never will: since when we did not; None when we did all the time."""
        since, self._cut_off_since = self._cut_off_since, None
        if since is not None:
            self._recorder.record(
                GapNoted(at=since, until=now(), what="everything", reason="recorder_cut_off")
            )
        return since


def _is_agent(participant: rtc.RemoteParticipant) -> bool:
    return participant.kind == rtc.ParticipantKind.PARTICIPANT_KIND_AGENT


def _joined_at(participant: rtc.RemoteParticipant) -> datetime:
    return milliseconds(participant.joined_at or now())
