"""Data-channel topics in and out.

What participants send is not to be trusted: every message is checked for size, form and sender before it
becomes an event. One that fails is refused with one log line and changes nothing.
"""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Literal, TypeVar

import structlog
from livekit import rtc
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from agent.handlers import listen
from agent.presence import role_in_room
from agent.recorder import Recorder, now
from agent.session.errors import MessageRefused
from agent.session.events import QualityRead, Speaker, UtteranceHeard, milliseconds
from agent.session.rooms import speaker_of, storable

log = structlog.stdlib.get_logger()

TRANSCRIPT = "transcript"
SESSION_END = "session.end"
SESSION_SAVED = "session.saved"
SESSION_SAVE_FAILED = "session.save_failed"
QUALITY_READING = "quality.reading"

MAX_BYTES = 16 * 1024
SAVED_MESSAGE = "Session saved to your history"
SAVE_FAILED_MESSAGE = "Failed to save session"
_CLOCK_SKEW = timedelta(minutes=1)  # how far a participant's clock may be off before ours is used


def _words(text: str) -> str:
    if not (words := storable(text).strip()):
        raise ValueError("empty")
    return words


_Count = Annotated[int, Field(ge=0, le=2**31 - 1)]
_Figure = Annotated[float, Field(ge=0, le=1e9, allow_inf_nan=False)]
_Text = Annotated[str, StringConstraints(strip_whitespace=True), AfterValidator(_words)]


def _aware(moment: datetime) -> datetime:
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


class _Message(BaseModel):
    model_config = ConfigDict(strict=True, extra="ignore")


_Form = TypeVar("_Form", bound=_Message)


class TranscriptMessage(_Message):
    """A participant's own words; `timestamp` (ISO 8601, or s or ms since 1970) is when they began."""

    text: _Text
    timestamp: Annotated[datetime, Field(strict=False), AfterValidator(_aware)] | None = None
    speaker: Speaker | None = None


class QualityMessage(_Message):
    """A participant's own outbound figures over the last `seconds`."""

    track_sid: _Text
    source: Annotated[str, StringConstraints(max_length=32)] = "unknown"
    seconds: Annotated[float, Field(gt=0, le=120, allow_inf_nan=False)] = 10.0
    bitrate_kbps: _Figure
    fps: _Figure | None = None
    packets_lost: _Count | None = None
    packets_received: _Count | None = None
    jitter_ms: _Figure | None = None
    round_trip_ms: _Figure | None = None
    width: _Count | None = None
    height: _Count | None = None


class Messages:
    """Receives what participants send to the recorder."""

    def __init__(self, recorder: Recorder, *, on_session_end: Callable[[], None]) -> None:
        self._recorder = recorder
        self._on_session_end = on_session_end
        self.own_words: set[str] = set()  # identities that send their own transcript

    def follow(self, room: rtc.Room) -> None:
        """Listen to a room."""
        listen(room, "data_received", self._data_received)

    def take_transcript(
        self, sender: rtc.RemoteParticipant, message: TranscriptMessage, end: datetime
    ) -> None:
        """A sender's own words become an utterance. Raises `MessageRefused` for words of somebody else."""
        if message.speaker and message.speaker != speaker_of(role_in_room(sender)):
            raise MessageRefused("speaker is not the sender")
        at = message.timestamp
        if at is None or abs(at - end) > _CLOCK_SKEW:
            at = end
        self.own_words.add(sender.identity)
        self._recorder.record(
            UtteranceHeard(
                at=milliseconds(min(at, end)),
                end=milliseconds(end),
                identity=storable(sender.identity),
                text=storable(message.text),
                source="data",
            )
        )

    def _data_received(self, packet: rtc.DataPacket) -> None:
        sender = packet.participant
        handle = {
            TRANSCRIPT: self._transcript,
            SESSION_END: self._session_end,
            QUALITY_READING: self._quality_reading,
            SESSION_SAVED: _not_yours,
            SESSION_SAVE_FAILED: _not_yours,
        }.get(packet.topic or "")
        if handle is None:
            return
        try:
            if sender is None:
                raise MessageRefused("sender unknown")
            handle(sender, _parse(packet.data))
        except MessageRefused as refusal:
            refused(packet.topic or "", sender, refusal)

    def _transcript(self, sender: rtc.RemoteParticipant, payload: dict[str, Any]) -> None:
        self.take_transcript(sender, _checked(TranscriptMessage, payload), now())

    def _session_end(self, sender: rtc.RemoteParticipant, payload: dict[str, Any]) -> None:  # noqa: ARG002
        if role_in_room(sender) == "participant":
            raise MessageRefused("neither student nor counselor")
        log.info("session_end_asked", identity=sender.identity)
        self._on_session_end()

    def _quality_reading(self, sender: rtc.RemoteParticipant, payload: dict[str, Any]) -> None:
        reading = _checked(QualityMessage, payload)
        if reading.track_sid not in sender.track_publications:
            raise MessageRefused("not the sender's track")
        leg: Literal["client_to_sfu"] = "client_to_sfu"
        fields = reading.model_dump() | {"source": storable(reading.source)}
        self._recorder.record(QualityRead(at=now(), identity=storable(sender.identity), leg=leg, **fields))


async def announce(room: rtc.Room, topic: str, session_id: object, message: str) -> None:
    """Tell everybody in the room what became of their session."""
    if not room.isconnected():
        return
    payload = json.dumps({"session_id": str(session_id), "message": message})
    await room.local_participant.publish_data(payload, reliable=True, topic=topic)


def refused(topic: str, sender: rtc.RemoteParticipant | None, refusal: MessageRefused) -> None:
    """The one line that a refused message leaves."""
    log.warning(
        "message_refused", topic=topic, identity=sender.identity if sender else None, reason=str(refusal)
    )


def _parse(data: bytes) -> dict[str, Any]:
    if len(data) > MAX_BYTES:
        raise MessageRefused("larger than 16 KiB")
    try:
        payload = json.loads(data)
    except (ValueError, RecursionError):
        raise MessageRefused("not JSON") from None
    if not isinstance(payload, dict):
        raise MessageRefused("not a JSON object")
    return payload


def _checked(form: type[_Form], payload: dict[str, Any]) -> _Form:
    try:
        return form.model_validate(payload)
    except (ValidationError, OverflowError) as error:
        wrong = {str(e["loc"][0]) for e in error.errors()} if isinstance(error, ValidationError) else set()
        raise MessageRefused("wrong fields: " + ", ".join(sorted(wrong & form.model_fields.keys()))) from None


def _not_yours(sender: rtc.RemoteParticipant, payload: dict[str, Any]) -> None:  # noqa: ARG001
    raise MessageRefused("only the recorder sends this")
