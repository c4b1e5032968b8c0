"""LiveKit's room events -> joined, left, connection quality; `agent.visits` knows of further stays.

Handlers never raise: the SDK would log the whole event, and events carry what people say.
"""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import suppress
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
    Role,
    milliseconds,
)
from agent.session.rooms import role_of, storable, user_id_of
from agent.session.user_ids import DEFAULT_NAMESPACE
from agent.stays import Stays
from db.visits import Visit

log = structlog.stdlib.get_logger()

TELL_SECONDS = 1.0  # whoever changes their name more often is told of with the latest
_CLOSED = (rtc.DisconnectReason.ROOM_DELETED, rtc.DisconnectReason.ROOM_CLOSED)


def is_recorded(participant: rtc.RemoteParticipant) -> bool:
    """Everybody but egress and those who are hidden, as other recorders are."""
    return (
        participant.kind != rtc.ParticipantKind.PARTICIPANT_KIND_EGRESS and not participant.permissions.hidden
    )


def is_agent(participant: rtc.RemoteParticipant) -> bool:
    """Whether this is a program, by its token: nobody else can say so."""
    return participant.kind == rtc.ParticipantKind.PARTICIPANT_KIND_AGENT


def is_voice(publication: rtc.TrackPublication) -> bool:
    """Whether its owner speaks over it: what a screen share plays is not their voice."""
    return (
        publication.kind == rtc.TrackKind.KIND_AUDIO
        and publication.source != rtc.TrackSource.SOURCE_SCREENSHARE_AUDIO
    )


def role_in_room(participant: rtc.RemoteParticipant) -> Role:
    """The role that a participant's attributes, metadata, identity and kind claim."""
    attributes, metadata = participant.attributes, participant.metadata
    return role_of(participant.identity, attributes, metadata, is_agent=is_agent(participant))


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
        self.stays = Stays(recorder, on_empty)
        self._room = room
        self._recorder = recorder
        self._namespace = namespace  # of user ids that are no UUIDs
        # Of whom not more is told for a moment.
        self._telling: dict[str, tuple[asyncio.TimerHandle, rtc.RemoteParticipant]] = {}
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
        self._recorder.when_claimed(lambda _until: self.stays.left_meanwhile(self._recorder.began_at))

    def visited(self, visit: Visit) -> None:
        """LiveKit tells of a stay, or its end, that our connection does not show, or not yet."""
        sid, left_at = visit.participant_sid, visit.left_at
        if sid not in self.stays.known:
            join = ParticipantJoined(
                at=milliseconds(visit.joined_at),
                identity=visit.identity,
                participant_sid=sid,
                name=visit.name,
                role=visit.role,
                user_id=visit.user_id or self._user_id(visit.identity, {}),
                kind="agent" if visit.is_agent else None,
            )
            self.stays.tell(join, unseen=True)
            left_at = left_at or (now() if self._over.is_set() else None)
        if left_at is not None:
            self.gone(sid, milliseconds(left_at))

    def gone(self, participant_sid: str, at: datetime) -> None:
        """Somebody whom our connection never showed is there no more."""
        if participant_sid in self.stays.unseen:
            self.stays.left(participant_sid, at)

    def room_names_another(self) -> None:
        """The room's metadata name another user now: whose identity stands for them is the student."""
        for participant in self._room.remote_participants.values():
            self._told_more(participant)

    def _connected(self, participant: rtc.RemoteParticipant) -> None:
        if not is_recorded(participant):
            return
        if participant.sid not in self.stays:
            self.stays.tell(self._join_of(participant))
        elif participant.sid in self.stays.unseen:
            self.stays.unseen.discard(participant.sid)
            self._told_more(participant)

    def _disconnected(self, participant: rtc.RemoteParticipant) -> None:
        """While we are cut off the SDK drops everybody: who has left is seen when we are back."""
        if self._cut_off_since is None and participant.sid in self.stays:
            self._tell_now(participant.sid)
            self.stays.left(participant.sid, now())

    def _told_more(self, participant: rtc.Participant) -> None:
        """Once a second at most: a participant can change what they are called a thousand times."""
        sid = participant.sid
        if sid in self._telling or sid not in self.stays:
            return
        if isinstance(participant, rtc.RemoteParticipant) and self.stays.tell(self._join_of(participant)):
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
            self.stays.tell(self._join_of(participant))

    def _join_of(self, participant: rtc.RemoteParticipant) -> ParticipantJoined:
        """What there is to tell of them: agents change attributes that say nothing to us at every turn."""
        return ParticipantJoined(
            at=milliseconds(participant.joined_at or now()),
            identity=storable(participant.identity),
            participant_sid=participant.sid,
            name=storable(participant.name),
            role=role_in_room(participant),
            user_id=self._user_id(participant.identity, participant.attributes),
            kind="agent" if is_agent(participant) else None,
        )

    def _user_id(self, identity: str, attributes: dict[str, str]) -> str | None:
        student = self._recorder.session.info.user_id
        return user_id_of(identity, attributes, self._namespace, student=student)

    def _quality_changed(self, participant: rtc.Participant | None, quality: rtc.ConnectionQuality) -> None:
        if participant is None or participant.sid not in self.stays:
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
        if self.stays:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._over.wait(), within)

    def _room_disconnected(self, reason: rtc.DisconnectReason.ValueType) -> None:
        """A room that is closed takes everyone along; if only we were disconnected, they are still there."""
        self._over.set()
        self._note_cut_off()
        for sid in list(self._telling):
            self._tell_now(sid)
        if reason in _CLOSED:
            self.stays.closed(now())

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
            for participant_sid in self.stays:
                if participant_sid not in here | self.stays.unseen:
                    self._tell_now(participant_sid)
                    self.stays.left(participant_sid, since)
        self.note_those_already_here()

    def _note_cut_off(self) -> datetime | None:
        """We see again, or never will: since when we did not; None when we did all the time."""
        since, self._cut_off_since = self._cut_off_since, None
        if since is not None:
            self._recorder.record(
                GapNoted(at=since, until=now(), what="everything", reason="recorder_cut_off")
            )
        return since
