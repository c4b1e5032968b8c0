"""Back from a session's stored record to events, for a session that goes on after its journal was purged.

The connection's quality scores are not in the record: of the time before, their average is lost. Nor is when
microphones were on: what was missed of anybody who was there may have been said, so they count as on then.
"""

from collections.abc import Iterator, Mapping
from dataclasses import fields
from datetime import datetime
from typing import Any

from agent.session.coverage import SPEECH_WITHOUT_WORDS
from agent.session.events import (
    Event,
    GapNoted,
    MicrophoneChanged,
    ParticipantJoined,
    ParticipantLeft,
    QualityRead,
    SessionEnded,
    UtteranceHeard,
)

Row = Mapping[str, Any]
_READING = {field.name for field in fields(QualityRead)} - {"at"}


def events_of(record: Row) -> list[Event]:
    """The events that fold to this record: a row of `sessions` with its `participants` and `readings`."""
    return [
        *_stays(record["participants"]),
        *(_utterance(entry) for entry in record["transcript"]),
        *(QualityRead(at=row["read_at"], **{k: row[k] for k in _READING}) for row in record["readings"]),
        *(_gap(gap) for gap in record["gaps"]),
        *_microphones(record),
        *([SessionEnded(at=record["end_time"], reason=record["end_reason"])] if record["end_reason"] else []),
    ]


def _stays(rows: list[Row]) -> Iterator[Event]:
    for row in rows:
        if row["participant_sid"] is None:
            continue  # told by a client; the recorder has not seen it
        who = {"identity": row["identity"], "participant_sid": row["participant_sid"]}
        user_id = str(row["user_id"]) if row["user_id"] else None
        yield ParticipantJoined(
            at=row["joined_at"],
            name=row["name"],
            role=row["role"],
            user_id=user_id,
            kind=row["kind"],
            **who,
        )
        if row["left_at"]:
            yield ParticipantLeft(at=row["left_at"], **who)


def _utterance(entry: Row) -> UtteranceHeard:
    """Own words were compared with what was heard when the record was made: so it stays."""
    return UtteranceHeard(
        at=datetime.fromisoformat(entry["timestamp"]),
        end=datetime.fromisoformat(entry["end"]),
        identity=entry["identity"],
        text=entry["text"],
        source=entry["source"],
        language=entry.get("language"),
        track=entry.get("track"),
        told=entry.get("origin") if entry["source"] == "data" else None,
        sent_by=entry.get("sent_by"),
        confirmed=bool(entry.get("confirmed")) if entry["source"] == "data" else None,
    )


def _microphones(record: Row) -> Iterator[Event]:
    """On while words were missed, as they were; of the whole room's, everybody's."""
    everybody = {row["identity"] for row in record["participants"] if row["participant_sid"] is not None}
    for number, gap in enumerate(map(_gap, record["gaps"])):
        if gap.what == "quality" or gap.track is not None or gap.reason in SPEECH_WITHOUT_WORDS:
            continue
        for identity in sorted(everybody) if gap.identity is None else [gap.identity]:
            for at, on in ((gap.at, True), (gap.until, False)):
                yield MicrophoneChanged(at=at, identity=identity, track_sid=f"missed-{number}", on=on)


def _gap(gap: Row) -> GapNoted:
    return GapNoted(
        at=datetime.fromisoformat(gap["from"]),
        until=datetime.fromisoformat(gap["until"]),
        what=gap["what"],
        reason=gap["reason"],
        identity=gap.get("identity"),
        track=gap.get("track"),
    )
