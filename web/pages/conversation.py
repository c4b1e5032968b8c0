"""A transcript as a conversation, with what is missing in its place."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from agent.session.transcript import voice_of
from web.pages.words import REASONS, clock, duration
from web.record import Record, Row

SHORT = 1.0  # seconds; a microphone's first moments are listed, but do not interrupt the reading


def passages(record: Record, colours: Mapping[str, int], missed: Sequence[Row]) -> list[Row]:
    """Utterances and `gaps` in order of time; `first`: somebody else spoke before."""
    said = [_utterance(record, entry, colours) for entry in record.row["transcript"]]
    missing = [gap for gap in missed if gap["hides_words"] and gap["seconds"] >= SHORT]
    ordered = sorted([*said, *missing], key=lambda p: (p["begin"], p["kind"]))
    before = None
    for passage in ordered:
        speaker = (passage["who"], passage["told_by"]) if passage["kind"] == "words" else None
        passage["first"] = speaker != before
        before = speaker
    return ordered


def gaps(record: Record) -> list[dict[str, Any]]:
    """What was missed, in words."""
    return [_gap(record, gap) for gap in record.row["gaps"]]


def _utterance(record: Record, entry: Mapping[str, Any], colours: Mapping[str, int]) -> dict[str, Any]:
    begin = datetime.fromisoformat(entry["timestamp"])
    end = datetime.fromisoformat(entry.get("end") or entry["timestamp"])
    identity = voice_of(entry)
    after = (begin - record.start).total_seconds()
    return {
        "kind": "words",
        "id": anchor(record.start, begin),
        "begin": round(after, 3),
        "end": round((max(end, begin) - record.start).total_seconds(), 3),
        "clock": clock(after),
        "at": begin,
        "who": record.names.get(identity) or identity,
        "colour": colours.get(identity, 0),
        "speaker": entry["speaker"],
        "text": entry["text"],
        "language": entry.get("language"),
        "told_by": record.teller(entry),
        "played": entry.get("track") is not None,
        "sent": entry.get("source") == "data",
    }


def _gap(record: Record, gap: Mapping[str, Any]) -> dict[str, Any]:
    begin, until = (datetime.fromisoformat(gap[key]) for key in ("from", "until"))
    identity = gap.get("identity")
    seconds = (until - begin) / timedelta(seconds=1)
    return {
        "kind": "gap",
        "begin": round((begin - record.start).total_seconds(), 3),
        "at": begin,
        "until": until,
        "clock": clock((begin - record.start).total_seconds()),
        "seconds": seconds,
        "duration": duration(seconds) if seconds >= SHORT else f"{seconds:.1f}s",
        "who": (record.names.get(identity) or identity) if identity else "Everybody",
        "identity": identity,
        "what": gap["what"],
        "hides_words": gap["what"] in ("transcript", "everything"),
        "reason": REASONS.get(gap["reason"], gap["reason"].replace("_", " ")),
    }


def anchor(start: datetime, moment: datetime) -> str:
    """The name of a moment in a link."""
    return f"at-{max(round((moment - start) / timedelta(milliseconds=1)), 0)}"
