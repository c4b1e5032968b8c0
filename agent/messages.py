"""Data-channel topics: what participants send to the recorder.

What participants send is not to be trusted: every message is checked for size, form and sender before it
becomes an event. One that fails is refused with one log line and changes nothing.
"""

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any, Literal

import structlog
from livekit import rtc

from agent.announcements import SESSION_SAVE_FAILED, SESSION_SAVED
from agent.clock import now
from agent.handlers import listen
from agent.message_forms import QualityMessage, TranscriptMessage, checked, parsed
from agent.presence import role_in_room
from agent.recorder import Recorder
from agent.senders import Senders
from agent.session.errors import MessageRefused
from agent.session.events import QualityRead, Role, UtteranceHeard, milliseconds
from agent.session.rooms import speaker_of, storable
from agent.tasks import Tasks
from agent.unheard import Unheard

log = structlog.stdlib.get_logger()

TRANSCRIPT = "transcript"
SESSION_END = "session.end"
QUALITY_READING = "quality.reading"

_CLOCK_SKEW = timedelta(minutes=1)  # how far a participant's clock may be off before ours is used
_MAX_WAITING = 100  # packets whose sender is not visible yet

Payload = Mapping[str, Any]


class Messages:
    """Receives what participants send to the recorder."""

    def __init__(self, room: rtc.Room, recorder: Recorder, *, on_session_end: Callable[[], None]) -> None:
        self.senders = Senders(room)
        self.own_words: set[str] = set()  # identities whose words come from themselves, not from Whisper
        self._room = room
        self._recorder = recorder
        self._on_session_end = on_session_end
        self._waiting = Tasks()
        self._unheard = Unheard()
        listen(room, "data_received", self._data_received)
        listen(room, "participant_disconnected", self._disconnected)

    async def close(self) -> None:
        """Settle what still waits for its sender."""
        self.senders.close()
        await self._waiting.finished()

    def take_own_words(
        self,
        sender: rtc.RemoteParticipant,
        text: str,
        begin: datetime,
        end: datetime,
        language: str | None = None,
    ) -> None:
        """A sender's own words become an utterance; from now on, until they leave, Whisper hears no more."""
        if sender.identity in self._room.remote_participants:
            self.own_words.add(storable(sender.identity))
        self._recorder.record(
            UtteranceHeard(
                at=milliseconds(min(begin, end)),
                end=milliseconds(end),
                identity=storable(sender.identity),
                text=text,
                source="data",
                language=language,
            )
        )

    def _data_received(self, packet: rtc.DataPacket) -> None:
        topic, sender, received = packet.topic or "", packet.participant, now()
        try:
            if topic in (SESSION_SAVED, SESSION_SAVE_FAILED):
                raise MessageRefused("only the recorder sends this")
            handle = {
                TRANSCRIPT: self._transcript,
                SESSION_END: self._session_end,
                QUALITY_READING: self._quality_reading,
            }.get(topic)
            if handle is None:
                self._unheard.note(sender.identity if sender else None, topic)
                return
            payload = parsed(packet.data)
            if sender is not None:
                handle(sender, payload, received)
            elif len(self._waiting) < _MAX_WAITING:
                self._waiting.start(self._when_sender_is_known(topic, handle, payload, received))
            else:
                raise MessageRefused("sender unknown")
        except MessageRefused as refusal:
            refused(topic, sender, refusal)

    async def _when_sender_is_known(
        self,
        topic: str,
        handle: Callable[[rtc.RemoteParticipant, Payload, datetime], None],
        payload: Payload,
        received: datetime,
    ) -> None:
        sender: rtc.RemoteParticipant | None = None
        try:
            sender = await self.senders.only_newcomer(received)
            if sender is None:
                raise MessageRefused("sender unknown")
            handle(sender, payload, received)
        except MessageRefused as refusal:
            refused(topic, sender, refusal)

    def _disconnected(self, participant: rtc.RemoteParticipant) -> None:
        """A client that returns may be another program; and whose words an agent sent, it sends no more."""
        self.own_words.discard(storable(participant.identity))
        if participant.kind == rtc.ParticipantKind.PARTICIPANT_KIND_AGENT:
            agents = (p for p in self._room.remote_participants.values() if p.kind == participant.kind)
            self.own_words &= {storable(agent.identity) for agent in agents}

    def _transcript(self, sender: rtc.RemoteParticipant, payload: Payload, received: datetime) -> None:
        message = checked(TranscriptMessage, payload)
        if message.speaker and message.speaker != speaker_of(self._role(sender)):
            raise MessageRefused("speaker is not the sender")
        began = message.timestamp
        if began is None or abs(began - received) > _CLOCK_SKEW:
            began = received
        self.take_own_words(sender, message.text, began, received, message.language)

    def _role(self, sender: rtc.RemoteParticipant) -> Role:
        told = self._recorder.session.role(storable(sender.identity))
        return told if told != "participant" else role_in_room(sender)

    def _session_end(self, sender: rtc.RemoteParticipant, _payload: Payload, _received: datetime) -> None:
        if self._role(sender) == "participant":
            raise MessageRefused("neither student nor counselor")
        log.info("session_end_asked", identity=sender.identity)
        self._on_session_end()

    def _quality_reading(self, sender: rtc.RemoteParticipant, payload: Payload, received: datetime) -> None:
        reading = checked(QualityMessage, payload)
        if reading.track_sid not in sender.track_publications:
            raise MessageRefused("not the sender's track")
        leg: Literal["client_to_sfu"] = "client_to_sfu"
        fields = reading.model_dump() | {"source": storable(reading.source)}
        self._recorder.record(QualityRead(at=received, identity=storable(sender.identity), leg=leg, **fields))


def refused(topic: str, sender: rtc.RemoteParticipant | None, refusal: MessageRefused) -> None:
    """The one line that a refused message leaves."""
    log.warning(
        "message_refused", topic=topic, identity=sender.identity if sender else None, reason=str(refusal)
    )
