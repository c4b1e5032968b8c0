"""The forms of what participants send. Nothing is trusted: size, form and every field are checked."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Any, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
)

from agent.session.errors import MessageRefused
from agent.session.events import Speaker
from agent.session.rooms import storable

MAX_TEXT = 16 * 1024  # bytes of what somebody says at once
MAX_BYTES = 256 * 1024  # of it as it comes: a program may wrap its text in much that we do not read


def _storable(value: object) -> object:
    """Half a letter (a client cut its text between two UTF-16 units) costs that half, not the message."""
    return storable(value) if isinstance(value, str) else value


def _not_empty(text: str) -> str:
    if not text:
        raise ValueError("empty")
    return text


def _aware(moment: datetime) -> datetime:
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _primary(tag: str) -> str:
    """`en` of `en-GB`."""
    return tag.split("-", maxsplit=1)[0].lower()


_Count = Annotated[int, Field(ge=0, le=2**31 - 1)]
_Figure = Annotated[float, Field(ge=0, le=1e9, allow_inf_nan=False)]
_Text = Annotated[
    str,
    BeforeValidator(_storable),
    StringConstraints(strip_whitespace=True),
    AfterValidator(_not_empty),
]
_Language = Annotated[
    str, StringConstraints(pattern=r"^[A-Za-z]{2,3}(-[A-Za-z0-9]{1,8}){0,4}$"), AfterValidator(_primary)
]


class _Message(BaseModel):
    model_config = ConfigDict(strict=True, extra="ignore")


Form = TypeVar("Form", bound=_Message)


class TranscriptMessage(_Message):
    """A participant's own words; `timestamp` (ISO 8601, or s or ms since 1970) is when they began."""

    text: _Text
    timestamp: Annotated[datetime, Field(strict=False), AfterValidator(_aware)] | None = None
    speaker: Speaker | None = None
    language: _Language | None = None  # BCP 47; ISO 639-1 of it is kept


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
    packets_lost_upstream: _Count | None = None
    packets_repaired: _Count | None = None
    concealed_percentage: Annotated[float, Field(ge=0, le=100, allow_inf_nan=False)] | None = None
    mos: Annotated[float, Field(ge=1, le=5, allow_inf_nan=False)] | None = None
    freeze_count: _Count | None = None
    freeze_seconds: _Figure | None = None


def too_long(text: str) -> bool:
    """Whether a text is more than anybody says at once."""
    return len(text.encode("utf-8", "replace")) > MAX_TEXT


def parsed(data: bytes) -> dict[str, Any]:
    """A JSON object of at most 256 KiB. Raises `MessageRefused` for anything else, quoting nothing of it."""
    if len(data) > MAX_BYTES:
        raise MessageRefused("larger than 256 KiB", words=True)
    try:
        payload = json.loads(data)
    except (ValueError, RecursionError):
        raise MessageRefused("not JSON") from None
    if not isinstance(payload, dict):
        raise MessageRefused("not a JSON object")
    return payload


def checked(form: type[Form], payload: Mapping[str, Any]) -> Form:
    """The message. Raises `MessageRefused` with the names of the wrong fields, never their values."""
    text = payload.get("text") if form is TranscriptMessage else None
    words = isinstance(text, str) and bool(text.strip())
    if isinstance(text, str) and too_long(text):
        raise MessageRefused("text larger than 16 KiB", words=words)
    try:
        return form.model_validate(payload)
    except (ValidationError, OverflowError) as error:
        wrong = {str(e["loc"][0]) for e in error.errors()} if isinstance(error, ValidationError) else set()
        names = ", ".join(sorted(wrong & form.model_fields.keys()))
        raise MessageRefused(f"wrong fields: {names}", words=words) from None
