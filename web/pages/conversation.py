"""A transcript as a conversation, with what is missing in its place."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from agent.session.reasons import GAP_REASONS
from agent.session.transcript import only_told, voice_of
from web.pages.words import clock, duration
from web.record import Record, Row

SHORT = 1.0  # seconds; a microphone's first moments are listed, but do not interrupt the reading


def passages(record: Record, colours: Mapping[str, int], missed: Sequence[Row]) -> list[Row]:
    """Utterances and `gaps` in order of time; `first`: somebody else spoke before."""
    names, tellers = record.names, record.tellers
    said = [
        _utterance(record.start, names, entry, colours) | {"told_by": _teller(names, tellers, entry)}
        for entry in record.row["transcript"]
    ]
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
    names = record.names
    return [_gap(record.start, names, gap) for gap in record.row["gaps"]]


def _teller(names: Mapping[str, str], tellers: Mapping[str, str], entry: Mapping[str, Any]) -> str | None:
    """Whose client told it and nobody heard it; None for what was heard, or stands for that."""
    if only_told(entry):
        sender = entry.get("sent_by") or voice_of(entry)
        return names.get(sender) or sender
    told_by = entry.get("told_by")
    return tellers.get(told_by, "a participant") if told_by else None


def _utterance(
    start: datetime, names: Mapping[str, str], entry: Mapping[str, Any], colours: Mapping[str, int]
) -> dict[str, Any]:
    begin = datetime.fromisoformat(entry["timestamp"])
    end = datetime.fromisoformat(entry.get("end") or entry["timestamp"])
    identity = voice_of(entry)
    after = (begin - start).total_seconds()
    return {
        "kind": "words",
        "id": anchor(start, begin),
        "begin": round(after, 3),
        "end": round((max(end, begin) - start).total_seconds(), 3),
        "clock": clock(after),
        "at": begin,
        "who": names.get(identity) or identity,
        "colour": colours.get(identity, 0),
        "speaker": entry["speaker"],
        "text": entry["text"],
        "language": entry.get("language"),
        "played": entry.get("track") is not None,
        "sent": entry.get("source") == "data",
    }


def _gap(start: datetime, names: Mapping[str, str], gap: Mapping[str, Any]) -> dict[str, Any]:
    begin, until = (datetime.fromisoformat(gap[key]) for key in ("from", "until"))
    identity = gap.get("identity")
    seconds = (until - begin) / timedelta(seconds=1)
    return {
        "kind": "gap",
        "begin": round((begin - start).total_seconds(), 3),
        "at": begin,
        "until": until,
        "clock": clock((begin - start).total_seconds()),
        "seconds": seconds,
        "duration": duration(seconds) if seconds >= SHORT else f"{seconds:.1f}s",
        "who": (names.get(identity) or identity) if identity else "Everybody",
        "identity": identity,
        "what": gap["what"],
        "hides_words": gap["what"] in ("transcript", "everything"),
        "reason": GAP_REASONS.get(gap["reason"], gap["reason"].replace("_", " ")),
    }


def anchor(start: datetime, moment: datetime) -> str:
    """The name of a moment in a link."""
    return f"at-{max(round((moment - start) / timedelta(milliseconds=1)), 0)}"
