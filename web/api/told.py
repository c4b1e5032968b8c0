"""What clients may send, checked before anything is written."""

from datetime import datetime
from typing import Annotated, Any, Literal, Self
from uuid import UUID

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    model_validator,
)
from pydantic_core import PydanticCustomError

from agent.session.events import iso
from agent.session.rooms import storable

MOST_ENTRIES = 20_000
_ROUNDING = 2  # seconds by which a told duration may differ from end minus start
_LONGEST = 7 * 24 * 3600
_EXAMPLE_ID = "0b9ec1a0-6a0e-4c57-9a43-5d2f6f1f3a10"


def _is_text(value: Any) -> Any:
    if not isinstance(value, str | datetime):
        raise PydanticCustomError("iso_8601", "should be ISO 8601 text, e.g. 2026-01-31T10:20:30Z")
    return value


def _in_our_time(value: datetime) -> datetime:
    if not 2000 <= value.year < 2100:
        raise PydanticCustomError("far_away", "should be in this century")
    return value


def _not_blank(value: str) -> str:
    if not (kept := storable(value).strip()):
        raise PydanticCustomError("blank", "should not be blank")
    return kept


Moment = Annotated[AwareDatetime, BeforeValidator(_is_text), AfterValidator(_in_our_time)]
Text = Annotated[str, Field(max_length=16_384), AfterValidator(_not_blank)]
Name = Annotated[str, Field(max_length=256), AfterValidator(storable)]
Mode = Literal["voice", "video"]
Status = Literal["in_progress", "completed"]
Figure = Annotated[float, Field(ge=0, allow_inf_nan=False, strict=True)]


class Told(BaseModel):
    """Unknown fields are refused: a mistyped one would be lost without a word."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class ToldWords(Told):
    """One utterance."""

    speaker: Literal["user", "counselor", "participant"]
    text: Text = Field(examples=["I want to study biology."])
    timestamp: Moment = Field(description="When the words began", examples=["2026-01-31T10:00:12.500Z"])
    end: Moment | None = Field(None, description="When they ended", examples=["2026-01-31T10:00:15Z"])
    identity: Name | None = Field(None, description="LiveKit identity", examples=["student-1"])
    language: str | None = Field(None, pattern="^[a-z]{2,3}$", examples=["en"])

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
    """How good the client found the call."""

    average_bitrate: Figure | None = Field(None, description="kbit/s", examples=[452.0])
    average_fps: Figure | None = Field(None, examples=[14.8])
    packet_loss_percentage: Figure | None = Field(None, le=100, examples=[0.4])
    connection_quality_average: Literal["excellent", "good", "fair", "poor", "unknown"] | None = None


class ToldSession(Told):
    """A finished session, as its client knows it."""

    session_id: UUID = Field(examples=[_EXAMPLE_ID])
    mode: Mode
    start_time: Moment = Field(examples=["2026-01-31T10:00:00Z"])
    end_time: Moment = Field(examples=["2026-01-31T10:23:45Z"])
    duration_seconds: int | None = Field(None, ge=0, le=_LONGEST, strict=True, examples=[1425])
    counselor_category: Name | None = Field(None, examples=["college"])
    transcript: list[ToldWords] = Field(default_factory=list, max_length=MOST_ENTRIES)
    quality_metrics: ToldQuality | None = None
    user_id: UUID | None = Field(None, description="Whose session; staff only, else the token's user")

    @model_validator(mode="after")
    def _times_agree(self) -> Self:
        lasted = (self.end_time - self.start_time).total_seconds()
        if lasted < 0:
            raise PydanticCustomError("end_before_start", "end_time is before start_time")
        if lasted > _LONGEST:
            raise PydanticCustomError("too_long", "end_time is more than 7 days after start_time")
        if self.duration_seconds is not None and abs(lasted - self.duration_seconds) > _ROUNDING:
            raise PydanticCustomError("contradiction", "duration_seconds contradicts start_time and end_time")
        return self


class ToldStatus(Told):
    status: Status


class ToldJoin(Told):
    """Somebody joins."""

    session_id: UUID = Field(alias="sessionId", examples=[_EXAMPLE_ID])
    user_id: UUID = Field(alias="userId", examples=["5b1e0a3c-93a1-4f0a-8c51-0e9f2c3d4e5f"])
    name: Name = Field("", examples=["Sam"])


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
    counselor_category: Name | None = Field(None, examples=["college"])
