"""What the API answers."""

from datetime import datetime
from typing import Any
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from web.api.told import Mode, Status

_ID = "0b9ec1a0-6a0e-4c57-9a43-5d2f6f1f3a10"


class Saved(BaseModel):
    """The one record of the session, after this client's save was merged into it."""

    session_id: UUID = Field(examples=[_ID])
    created: bool = Field(description="Whether the session was not known before")
    mode: Mode = Field(description="The mode that holds: the room's metadata come before what a client says")
    message: str = Field(examples=["Session saved to your history"])


class Found(BaseModel):
    """The first words that a search is about."""

    text: str
    timestamp: datetime
    told: bool = Field(description="Whether a client told them, and no recorder heard them")


class SessionSummary(BaseModel):
    """A line of the history."""

    session_id: UUID = Field(examples=[_ID])
    user_id: UUID | None
    mode: Mode
    status: Status
    counselor_category: str | None = Field(examples=["college"])
    start_time: datetime = Field(examples=["2026-01-31T10:00:00Z"])
    end_time: datetime | None = Field(examples=["2026-01-31T10:23:45Z"])
    duration_seconds: int | None = Field(examples=[1425])
    created_at: datetime = Field(
        description="When the session became known", examples=["2026-01-31T10:00:00Z"]
    )
    participants: int = Field(description="How many people were there", examples=[2])
    quality_metrics: dict[str, Any] = Field(
        examples=[{"average_bitrate": 452.0, "average_fps": 14.8, "connection_quality_average": "excellent"}]
    )
    coverage: float | None = Field(
        description="Least share of the speech that is in the record", examples=[0.98]
    )
    found: Found | None = None


class SessionPage(BaseModel):
    """Sessions, newest first."""

    sessions: list[SessionSummary]
    next: str | None = Field(description="`cursor` of the next page; null on the last", examples=[None])


class Participant(BaseModel):
    """One stay of somebody in a session."""

    model_config = ConfigDict(populate_by_name=True)

    participant_id: UUID = Field(serialization_alias="participantId")
    session_id: UUID = Field(serialization_alias="sessionId", examples=[_ID])
    user_id: UUID | None = Field(serialization_alias="userId")
    name: str | None = Field(examples=["Sam"])
    role: str | None = Field(examples=["student"])
    joined_at: datetime = Field(serialization_alias="joinedAt")
    left_at: datetime | None = Field(serialization_alias="leftAt")
    recorded: bool = Field(description="Seen by the recorder, not only told by a client")


class SessionDetail(BaseModel):
    """Everything about a session but its readings. README, "What the numbers mean", explains the figures."""

    session_id: UUID = Field(examples=[_ID])
    user_id: UUID | None
    room_name: str
    mode: Mode
    status: Status
    counselor_category: str | None
    start_time: datetime
    end_time: datetime | None
    duration_seconds: int | None
    created_at: datetime
    end_reason: str | None
    transcript: list[dict[str, Any]]
    quality_metrics: dict[str, Any]
    gaps: list[dict[str, Any]]
    coverage: dict[str, Any]
    conversation: dict[str, Any] = Field(description="Talk share, turns, response times, interruptions")
    participants: list[Participant]


class Credentials(BaseModel):
    """LiveKit's token-endpoint response, and the session it is for."""

    server_url: str = Field(examples=["wss://project.livekit.cloud"])
    participant_token: str
    room_name: str
    session_id: UUID = Field(examples=[_ID])


class CleanedUp(BaseModel):
    completed: int = Field(description="How many sessions were completed", examples=[2])


class Check(BaseModel):
    ok: bool
    reason: str | None = Field(None, description="Why not", examples=["no answer within 2 s"])


class Health(BaseModel):
    """`status` is `ok` when every check is."""

    status: str = Field(examples=["ok"])
    checks: dict[str, Check]


def participant(row: dict[str, Any]) -> Participant:
    return Participant(**{k: row[k] for k in _STAY}, recorded=row["participant_sid"] is not None)


_STAY = ("participant_id", "session_id", "user_id", "name", "role", "joined_at", "left_at")
