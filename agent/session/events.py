"""What can happen in a room: small immutable facts, each with the time at which it happened.

An event is journaled as (kind, at, data); `to_row` and `from_row` are that translation. Times are aware
`datetime`s in UTC. Two equal events are one: the fold ignores the second, so a journal may repeat itself
(a flush whose answer was lost, a spool replayed twice) without the session changing.
"""

from dataclasses import dataclass, fields
from datetime import UTC, datetime
from typing import Any, Literal

Role = Literal["student", "counselor", "participant"]
Speaker = Literal["user", "counselor", "participant"]
Played = Literal["screen_share_audio"] | None  # None: their own voice
Teller = Literal["agent", "person"]
Leg = Literal["sfu_to_recorder", "client_to_sfu"]
ConnectionQuality = Literal["excellent", "good", "poor", "lost"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ParticipantJoined:
    """A stay began. `at` is LiveKit's own `joined_at`, which may be before the recorder was there.

    Told again whenever name, role or user id change; the one last `observed` is true of the whole stay.
    `kind` is that of an agent; None: a person, or from before it was told.
    """

    at: datetime
    identity: str
    participant_sid: str
    name: str
    role: Role
    user_id: str | None = None
    observed: datetime | None = None
    kind: Literal["agent"] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ParticipantLeft:
    """A stay ended."""

    at: datetime
    identity: str
    participant_sid: str


@dataclass(frozen=True, slots=True, kw_only=True)
class UtteranceHeard:
    """Words of someone, from `at`, when they began, to `end`. `language`: ISO 639-1, where it is told.

    Without `text`: speech in which Whisper found no words, or (`data`) whose words the speaker sends.
    `told`: whose own words (`data`) these are: an agent's, which stand for what Whisper would hear, or a
    person's, which stand beside it. `sent_by`: who sent them, where that is not who spoke. `confirmed`:
    these are own words from a record, which were compared with what was heard already. Of several with one
    `segment` of the same speaker the one that ended last holds: it replaces the others.
    """

    at: datetime
    end: datetime
    identity: str
    text: str
    source: Literal["whisper", "data"]
    language: str | None = None
    track: Played = None
    told: Teller | None = None
    sent_by: str | None = None
    confirmed: bool | None = None
    segment: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class MicrophoneChanged:
    """Someone can be heard from here on, or no longer: published, muted, unmuted, unpublished."""

    at: datetime
    identity: str
    track_sid: str
    on: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class QualityRead:
    """One track over one interval of `seconds` that ended at `at`; packets are counted in that interval.

    Bitrate in kbit/s of payload without headers, fps in frames per second, jitter and round trip in ms.
    `packets_lost` were lost on the leg, `packets_lost_upstream` before it (None: not told apart, both are in
    `packets_lost`), `packets_repaired` came by retransmission; `packets_received` are without those.
    `concealed_percentage` of the sound was invented for want of packets, `mos` is the E-model's estimate (1
    to 4.41), `freeze_count` and `freeze_seconds` say how often and how long in all the picture stood still.
    """

    at: datetime
    seconds: float
    identity: str
    track_sid: str
    source: str
    leg: Leg
    bitrate_kbps: float
    fps: float | None = None
    packets_lost: int | None = None
    packets_received: int | None = None
    jitter_ms: float | None = None
    round_trip_ms: float | None = None
    width: int | None = None
    height: int | None = None
    packets_lost_upstream: int | None = None
    packets_repaired: int | None = None
    concealed_percentage: float | None = None
    mos: float | None = None
    freeze_count: int | None = None
    freeze_seconds: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionQualityChanged:
    """LiveKit's score of a participant's connection: a state that holds until the next, or the leave."""

    at: datetime
    identity: str
    quality: ConnectionQuality


@dataclass(frozen=True, slots=True, kw_only=True)
class GapNoted:
    """Something was missed, from `at` to `until`, and why. `identity` is None when it was the whole room.

    `track`: it was not their voice.
    """

    at: datetime
    until: datetime
    what: Literal["transcript", "quality", "presence", "everything"]
    reason: str
    identity: str | None = None
    track: Played = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionEnded:
    """Everyone had left, or a participant ended the session. A later join opens it again."""

    at: datetime
    reason: str


Event = (
    ParticipantJoined
    | ParticipantLeft
    | UtteranceHeard
    | MicrophoneChanged
    | QualityRead
    | ConnectionQualityChanged
    | GapNoted
    | SessionEnded
)

KINDS: dict[str, type[Event]] = {
    kind.__name__: kind
    for kind in (
        ParticipantJoined,
        ParticipantLeft,
        UtteranceHeard,
        MicrophoneChanged,
        QualityRead,
        ConnectionQualityChanged,
        GapNoted,
        SessionEnded,
    )
}
_TIMES = ("end", "until", "observed")
_NAMES = {kind: [field.name for field in fields(kind) if field.name != "at"] for kind in KINDS.values()}


def to_row(event: Event) -> tuple[str, datetime, dict[str, Any]]:
    """(kind, at, data): what the journal stores; `data` is JSON without the unset fields."""
    kind = type(event)
    told = ((name, getattr(event, name)) for name in _NAMES[kind])
    data = {name: iso(value) if name in _TIMES else value for name, value in told if value is not None}
    return kind.__name__, event.at, data


def from_row(kind: str, at: datetime, data: dict[str, Any]) -> Event:
    """The event of a journal row. Raises KeyError for a kind this version does not know."""
    known = {field.name for field in fields(KINDS[kind])}
    values: dict[str, Any] = {k: v for k, v in data.items() if k in known}
    values |= {k: datetime.fromisoformat(values[k]) for k in _TIMES if k in values}
    return KINDS[kind](at=at, **values)


def evidence(event: Event) -> datetime:
    """The latest moment of which an event tells."""
    return event.end if isinstance(event, UtteranceHeard) else event.at


def iso(moment: datetime) -> str:
    """ISO 8601 in UTC to the millisecond: `2026-01-31T10:20:30.123Z`."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def milliseconds(moment: datetime) -> datetime:
    """The moment in UTC, to the millisecond: what survives the journal, so that equal events stay equal."""
    moment = moment.astimezone(UTC)
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000)
