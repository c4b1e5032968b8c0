"""What clients may send, checked before anything is written.

A student's save is worth more than its form: figures come as numbers or as their text (`toFixed`), a blank
line is dropped, a field that nobody knows is ignored. What cannot be understood is refused by the name of its
field.
"""

import re
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Annotated, Any, Literal, Self
from uuid import UUID

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    WithJsonSchema,
    field_validator,
    model_validator,
)
from pydantic_core import PydanticCustomError

from agent.session.events import iso
from agent.session.rooms import storable
from agent.session.user_ids import user_id
from web.api.figures import LONGEST, Count, Figure, Percentage, Seconds

MOST_ENTRIES = 20_000
MOST_IDENTITIES = 100  # who has more writes something else there, and every page would have to list them
_ROUNDING = 2  # seconds by which a duration may differ from end minus start
_EXAMPLE_ID = "0b9ec1a0-6a0e-4c57-9a43-5d2f6f1f3a10"
_SPEAKERS = {
    "user": "user",
    "student": "user",
    "counselor": "counselor",
    "counsellor": "counselor",
    "coach": "counselor",
    "assistant": "counselor",
    "agent": "counselor",
    "participant": "participant",
}
_LANGUAGE = re.compile(r"([A-Za-z]{2,3})(?:[-_]|$)")
# LiveKit's own word for no connection is no average of one.
_QUALITIES = {word: word for word in ("excellent", "good", "fair", "poor", "unknown")} | {"lost": "poor"}


def _is_text(value: Any) -> Any:
    if not isinstance(value, str | datetime):
        raise PydanticCustomError("iso_8601", "should be ISO 8601 text, e.g. 2026-01-31T10:20:30Z")
    return value


def _in_our_time(value: datetime) -> datetime:
    if not 2000 <= value.year < 2100:
        raise PydanticCustomError("far_away", "should be in this century")
    return value if value.tzinfo else value.replace(tzinfo=UTC)


def _storable(value: Any) -> Any:
    """Half a letter (a client cut its text between two UTF-16 units) costs that half, not the session."""
    return storable(value) if isinstance(value, str) else value


def _names_somebody(value: str) -> str:
    if user_id(value) is None:
        raise PydanticCustomError("user_id", "should be a user's id")
    return value


def _none_if_blank(value: str | None) -> str | None:
    return (value or "").strip() or None


def _text_of_number(value: Any) -> Any:
    return str(value) if type(value) is int and abs(value) < 2**63 else value


def _primary(tag: str | None) -> str | None:
    """`en` of `en-GB`, as browsers name it; None for what is no language."""
    found = _LANGUAGE.match(tag or "")
    return found[1].lower() if found else None


def _speaker(value: Any) -> str:
    if not isinstance(value, str) or (speaker := _SPEAKERS.get(value.strip().lower())) is None:
        raise PydanticCustomError("speaker", "should be user, counselor or participant")
    return speaker


def _quality(value: Any) -> str | None:
    if value is None:
        return None
    if not isinstance(value, str) or (quality := _QUALITIES.get(value.strip().lower() or "unknown")) is None:
        raise PydanticCustomError("quality", "should be excellent, good, fair, poor or unknown")
    return quality


UserId = Annotated[str, Field(max_length=256), AfterValidator(_names_somebody)]  # a platform's own
Moment = Annotated[datetime, BeforeValidator(_is_text), AfterValidator(_in_our_time)]
Spoken = Annotated[str, Field(max_length=16_384), AfterValidator(str.strip), BeforeValidator(_storable)]
Name = Annotated[str, Field(max_length=256), BeforeValidator(_storable)]
Category = Annotated[
    Name | None,
    BeforeValidator(_text_of_number, json_schema_input_type=Name | int | None),
    AfterValidator(_none_if_blank),
]
Language = Annotated[str | None, Field(max_length=256), AfterValidator(_primary)]
Mode = Literal["voice", "video"]
Status = Literal["in_progress", "completed"]
Speaker = Annotated[
    Literal["user", "counselor", "participant"],
    BeforeValidator(_speaker),
    WithJsonSchema(
        {
            "type": "string",
            "description": "`user`, `counselor` or `participant`; `student` is the user, and `coach`, "
            "`assistant` and `agent` are the counselor",
            "examples": ["user"],
        }
    ),
]
Quality = Annotated[
    Literal["excellent", "good", "fair", "poor", "unknown"] | None,
    BeforeValidator(_quality),
    WithJsonSchema(
        {
            "anyOf": [{"type": "string"}, {"type": "null"}],
            "description": "`excellent`, `good`, `fair`, `poor` or `unknown`, in any case",
            "examples": ["good"],
        }
    ),
]


class Told(BaseModel):
    """Unknown fields are ignored: a client that sends one more keeps its session all the same."""

    model_config = ConfigDict(extra="ignore", frozen=True)


class ToldWords(Told):
    """One utterance. A time without a zone is UTC; one without words is dropped."""

    speaker: Speaker
    text: Spoken = Field(examples=["I want to study biology."])
    timestamp: Moment = Field(description="When the words began", examples=["2026-01-31T10:00:12.500Z"])
    end: Moment | None = Field(None, description="When they ended", examples=["2026-01-31T10:00:15Z"])
    identity: Name | None = Field(None, description="LiveKit identity", examples=["student-1"])
    language: Language = Field(None, description="BCP 47; another text counts as none", examples=["en"])

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.end is not None and self.end < self.timestamp:
            raise PydanticCustomError("end_before_start", "end is before timestamp")
        return self

    def stored(self) -> dict[str, Any]:
        """As the record has it."""
        told: dict[str, Any] = {
            "speaker": self.speaker,
            "text": self.text,
            "timestamp": iso(self.timestamp),
            "end": iso(self.end or self.timestamp),
            "identity": self.identity or self.speaker,
            "source": "data",
        }
        return told | ({"language": self.language} if self.language else {})


class ToldQuality(Told):
    """How good the client found the call. Each figure is a number or its text; further keys are ignored."""

    average_bitrate: Figure | None = Field(None, description="kbit/s", examples=[452.0])
    average_fps: Figure | None = Field(None, examples=[14.8])
    packet_loss_percentage: Percentage | None = Field(
        None, description="Above 100 it counts as 100", examples=[0.4]
    )
    connection_quality_average: Quality = None
    total_readings: Count | None = Field(None, description="How many readings these are of", examples=[142])

    def stored(self) -> dict[str, Any] | None:
        """As the record has it, marked as the client's own; None where nothing is told."""
        told = self.model_dump(exclude_none=True)
        return {**told, "source": "client"} if told else None


class ToldSession(Told):
    """A finished session, as its client knows it."""

    session_id: UUID = Field(examples=[_EXAMPLE_ID])
    mode: Mode
    start_time: Moment = Field(examples=["2026-01-31T10:00:00Z"])
    end_time: Moment = Field(examples=["2026-01-31T10:23:45Z"])
    duration_seconds: Seconds | None = Field(None, examples=[1425])
    counselor_category: Category = Field(None, examples=["college"])
    transcript: list[ToldWords] | None = Field(None, max_length=MOST_ENTRIES)
    quality_metrics: ToldQuality | None = None
    user_id: UserId | None = Field(None, description="Whose session; staff only, else the token's user")

    @field_validator("transcript")
    @classmethod
    def _few_enough(cls, words: list[ToldWords] | None) -> list[ToldWords] | None:
        if _more_than(MOST_IDENTITIES, (entry.identity for entry in words or ())):
            raise PydanticCustomError(
                "identities", "has more than {most} different identities", {"most": MOST_IDENTITIES}
            )
        return words

    @model_validator(mode="after")
    def _times_agree(self) -> Self:
        _agree(self.start_time, self.end_time, self.duration_seconds, ("start_time", "end_time"))
        return self

    def words(self) -> list[dict[str, Any]]:
        """What was said, in order, as the record has it."""
        spoken = (entry for entry in self.transcript or () if entry.text)
        return [entry.stored() for entry in sorted(spoken, key=lambda entry: entry.timestamp)]


def _more_than(most: int, values: Iterable[str | None]) -> bool:
    return len(set(values) - {None}) > most


def _agree(begin: datetime, end: datetime, duration: float | None, names: tuple[str, str]) -> None:
    """Raise `PydanticCustomError` where an end, a beginning and what lies between contradict one another."""
    lasted, (start_name, end_name) = (end - begin).total_seconds(), names
    told = {"start": start_name, "end": end_name}
    if lasted < 0:
        raise PydanticCustomError("end_before_start", "{end} is before {start}", told)
    if lasted > LONGEST:
        raise PydanticCustomError("too_long", "{end} is more than 7 days after {start}", told)
    if duration is not None and abs(lasted - duration) > _ROUNDING:
        raise PydanticCustomError("contradiction", "duration_seconds contradicts {start} and {end}", told)


class ToldStatus(Told):
    """What a client knows first. Times without a zone are UTC."""

    status: Status
    started_at: Moment | None = Field(None, examples=["2026-01-31T10:00:00Z"])
    ended_at: Moment | None = Field(None, examples=["2026-01-31T10:23:45Z"])
    duration_seconds: Seconds | None = Field(None, examples=[1425])

    @model_validator(mode="after")
    def _times_agree(self) -> Self:
        if self.started_at and self.ended_at:
            _agree(self.started_at, self.ended_at, self.duration_seconds, ("started_at", "ended_at"))
        return self


class ToldJoin(Told):
    """Somebody joins."""

    session_id: UUID = Field(alias="sessionId", examples=[_EXAMPLE_ID])
    user_id: UserId = Field(
        alias="userId",
        description="As tokens have it in `sub`",
        examples=["5b1e0a3c-93a1-4f0a-8c51-0e9f2c3d4e5f", "auth0|123"],
    )
    name: Name | None = Field("", examples=["Sam"])


class ToldLeave(Told):
    """Somebody leaves."""

    participant_id: UUID = Field(alias="participantId", examples=["7c0e7f0a-1b0f-4d0c-8a7e-3f2d1c0b9a88"])


class Admission(Told):
    """LiveKit's token-endpoint request, and what the session is about. Everything is optional."""

    room_name: Name | None = Field(None, description="The room of a session of yours, to join it again")
    participant_name: Name | None = Field(None, examples=["Sam"])
    participant_identity: Name | None = Field(None, description="Staff only")
    participant_metadata: str | None = Field(None, max_length=4096)
    participant_attributes: dict[Name, Name] | None = Field(
        None, max_length=32, description="Not `role` and `user_id`: these are yours"
    )
    room_config: dict[str, Any] | None = Field(None, description="Not yours to set: must be absent or null")
    mode: Mode = "video"
    counselor_category: Category = Field(None, examples=["college"])
