"""Data-channel topics: what participants send to the recorder.

What participants send is not to be trusted: every message is checked for sender, size and form, and for how
much of the like has come, before it becomes an event. One that fails is refused with one log line and
changes nothing.
"""

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any, Literal

import structlog
from livekit import rtc

from agent.announcements import SESSION_SAVE_FAILED, SESSION_SAVED
from agent.budgets import Budgets
from agent.clock import now
from agent.handlers import listen
from agent.message_forms import QualityMessage, TranscriptMessage, checked, parsed
from agent.own_words import OwnWords
from agent.presence import is_agent, is_recorded, role_in_room
from agent.recorder import Recorder
from agent.refusals import Refusals
from agent.senders import Senders
from agent.session.errors import MessageRefused
from agent.session.events import QualityRead, Role
from agent.session.rooms import speaker_of, storable
from agent.session_end import SessionEnd
from agent.unheard import Unheard

log = structlog.stdlib.get_logger()

TRANSCRIPT = "transcript"
SESSION_END = "session.end"
QUALITY_READING = "quality.reading"

_CLOCK_SKEW = timedelta(minutes=1)  # how far a participant's clock may be off before ours is used

Payload = Mapping[str, Any]


class Messages:
    """Receives what participants send to the recorder; `on_unseen` hears of a sender who is not visible."""

    def __init__(
        self,
        room: rtc.Room,
        recorder: Recorder,
        session_end: SessionEnd,
        *,
        on_unseen: Callable[[], None] = lambda: None,
    ) -> None:
        self.senders = Senders(room)
        self.budgets = Budgets()
        self.own_words = OwnWords(room, recorder, self.senders, self.budgets)
        self.refusals = Refusals(recorder, self.budgets)
        self.on_unseen = on_unseen
        self._recorder = recorder
        self._session_end = session_end
        self._unheard = Unheard()
        listen(room, "data_received", self._data_received)

    def close(self) -> None:
        """Tell what is still to be told."""
        self.senders.close()
        self.refusals.close()

    def _data_received(self, packet: rtc.DataPacket) -> None:
        topic, sender, received = packet.topic or "", packet.participant, now()
        try:
            if topic in (SESSION_SAVED, SESSION_SAVE_FAILED):
                raise MessageRefused("only the recorder sends this")
            handle = {
                TRANSCRIPT: self._transcript,
                SESSION_END: self._end_asked,
                QUALITY_READING: self._quality_reading,
            }.get(topic)
            if sender is None:
                self.on_unseen()
            if handle is None:
                self._unheard.note(sender.identity if sender else None, topic)
            elif sender is None or not is_recorded(sender):
                raise MessageRefused("sender unknown", once=True)
            else:
                self.budgets.data(sender.identity, len(packet.data), agent=is_agent(sender))
                handle(sender, parsed(packet.data), received)
        except MessageRefused as refusal:
            refusal.words &= topic == TRANSCRIPT
            self.refusals.note(topic, sender, refusal, received)

    def _transcript(self, sender: rtc.RemoteParticipant, payload: Payload, received: datetime) -> None:
        message = checked(TranscriptMessage, payload)
        if message.speaker and message.speaker != speaker_of(self._role(sender)):
            raise MessageRefused("speaker is not the sender")
        began = message.timestamp
        if began is None or abs(began - received) > _CLOCK_SKEW:
            began = received
        self.own_words.take(sender, message.text, began, received, language=message.language)

    def _role(self, sender: rtc.RemoteParticipant) -> Role:
        told = self._recorder.session.role(storable(sender.identity))
        return told if told != "participant" else role_in_room(sender)

    def _end_asked(self, sender: rtc.RemoteParticipant, _payload: Payload, _received: datetime) -> None:
        if self._role(sender) == "participant":
            raise MessageRefused("neither student nor counselor")
        if self._session_end.busy:
            return
        if not self.budgets.ending(sender.identity):
            raise MessageRefused("asked to end too often", once=True)
        log.info("session_end_asked", identity=sender.identity)
        self._session_end.ask()

    def _quality_reading(self, sender: rtc.RemoteParticipant, payload: Payload, received: datetime) -> None:
        reading = checked(QualityMessage, payload)
        if reading.track_sid not in sender.track_publications:
            raise MessageRefused("not the sender's track")
        self.budgets.reading(sender.identity)
        leg: Literal["client_to_sfu"] = "client_to_sfu"
        fields = reading.model_dump() | {"source": storable(reading.source)}
        self._recorder.record(QualityRead(at=received, identity=storable(sender.identity), leg=leg, **fields))
