"""Small builders: an event in one line, times in seconds after ten o'clock."""

from datetime import UTC, datetime, timedelta
from typing import Any, Literal
from uuid import UUID

from agent.session.events import (
    ConnectionQuality,
    ConnectionQualityChanged,
    GapNoted,
    Leg,
    MicrophoneChanged,
    ParticipantJoined,
    ParticipantLeft,
    Played,
    QualityRead,
    Role,
    SessionEnded,
    UtteranceHeard,
)
from agent.session.fold import ROOM_EMPTY
from agent.session.rooms import SessionInfo

TEN_O_CLOCK = datetime(2026, 1, 31, 10, 0, tzinfo=UTC)
SESSION_ID = UUID("0b9ec1a0-6a0e-4c57-9a43-5d2f6f1f3a10")
STUDENT_ID = "5b1e0a3c-93a1-4f0a-8c51-0e9f2c3d4e5f"


def at(seconds: float) -> datetime:
    return TEN_O_CLOCK + timedelta(seconds=seconds)


def info(
    *,
    user_id: UUID | None = None,
    counselor_category: str | None = None,
    mode: Literal["voice", "video"] = "video",
) -> SessionInfo:
    return SessionInfo(SESSION_ID, f"coaching-{SESSION_ID}", "RM_1", user_id, counselor_category, mode)


def joined(
    seconds: float,
    identity: str = "student",
    sid: str | None = None,
    *,
    role: Role = "student",
    name: str = "",
    user_id: str | None = None,
) -> ParticipantJoined:
    return ParticipantJoined(
        at=at(seconds),
        identity=identity,
        participant_sid=sid or f"PA_{identity}",
        name=name,
        role=role,
        user_id=user_id,
    )


def left(seconds: float, identity: str = "student", sid: str | None = None) -> ParticipantLeft:
    return ParticipantLeft(at=at(seconds), identity=identity, participant_sid=sid or f"PA_{identity}")


def heard(
    seconds: float,
    text: str,
    identity: str = "student",
    *,
    lasting: float = 1.0,
    language: str | None = None,
    track: Played = None,
) -> UtteranceHeard:
    """Words that Whisper heard."""
    return UtteranceHeard(
        at=at(seconds),
        end=at(seconds + lasting),
        identity=identity,
        text=text,
        source="whisper",
        language=language,
        track=track,
    )


def told(seconds: float, text: str, identity: str = "student", *, lasting: float = 0.0) -> UtteranceHeard:
    """Words that a participant sent as their own."""
    return UtteranceHeard(
        at=at(seconds), end=at(seconds + lasting), identity=identity, text=text, source="data"
    )


def microphone(seconds: float, identity: str = "student", *, on: bool = True) -> MicrophoneChanged:
    return MicrophoneChanged(at=at(seconds), identity=identity, track_sid=f"TR_{identity}_microphone", on=on)


def reading(
    seconds: float,
    identity: str = "student",
    *,
    lasting: float = 10.0,
    source: str = "camera",
    leg: Leg = "sfu_to_recorder",
    kbps: float = 1000.0,
    fps: float | None = None,
    packets_lost: int | None = None,
    packets_received: int | None = None,
    **more: Any,
) -> QualityRead:
    return QualityRead(
        at=at(seconds),
        seconds=lasting,
        identity=identity,
        track_sid=f"TR_{identity}_{source}",
        source=source,
        leg=leg,
        bitrate_kbps=kbps,
        fps=fps,
        packets_lost=packets_lost,
        packets_received=packets_received,
        **more,
    )


def scored(seconds: float, quality: ConnectionQuality, identity: str = "student") -> ConnectionQualityChanged:
    return ConnectionQualityChanged(at=at(seconds), identity=identity, quality=quality)


def gap(
    seconds: float, until: float, reason: str = "transcription_unavailable", identity: str | None = None
) -> GapNoted:
    return GapNoted(at=at(seconds), until=at(until), what="transcript", reason=reason, identity=identity)


def ended(seconds: float, reason: str = ROOM_EMPTY) -> SessionEnded:
    return SessionEnded(at=at(seconds), reason=reason)
