"""Is the record complete? The demo's own judge: what truly happened against what PostgreSQL holds."""

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from agent.demo.lines import COUNSELOR, STUDENT
from agent.demo.script import Line, Played

Row = Mapping[str, Any]

STAY_TOLERANCE = timedelta(seconds=0.5)
LINE_TOLERANCE = timedelta(seconds=0.6)
WORD_ERRORS_ALLOWED = 0.2
SPEAKERS = {STUDENT: "user", COUNSELOR: "counselor"}


def what_is_missing(
    played: Played, session: Row | None, participants: Sequence[Row], readings: Sequence[Row]
) -> list[str]:
    """One sentence for each thing that the record lacks or has wrong; empty when it is complete."""
    if session is None:
        return ["The session is not in the database."]
    return [
        *_about_clients(played),
        *_about_session(session, participants),
        *_about_stays(played, participants),
        *_about_transcript(played, session["transcript"]),
        *_about_readings(readings),
        *_about_metrics(session["quality_metrics"], readings),
    ]


def word_errors(said: Sequence[str], written: Sequence[str]) -> int:
    """Least number of words to insert, delete or replace (Levenshtein distance over words)."""
    row = list(range(len(written) + 1))
    for deletions, word in enumerate(said, start=1):
        diagonal, row[0] = row[0], deletions
        for column, other in enumerate(written, start=1):
            best = min(row[column] + 1, row[column - 1] + 1, diagonal + (word != other))
            diagonal, row[column] = row[column], best
    return row[-1]


def words_of(text: str) -> list[str]:
    """Lower-case words without punctuation."""
    return re.findall(r"[a-z0-9']+", text.lower())


def _about_clients(played: Played) -> Iterator[str]:
    for identity in SPEAKERS:
        if not played.saved.get(identity):
            yield f"The {identity} was not told that the session is saved."
        if strangers := played.seen.get(identity, set()) - SPEAKERS.keys():
            yield f"The {identity} saw {', '.join(sorted(strangers))}: the recorder is not hidden."


def _about_session(session: Row, participants: Sequence[Row]) -> Iterator[str]:
    if session["status"] != "completed":
        yield f"The session's status is {session['status']}, not completed."
    begin, end = session["start_time"], session["end_time"]
    if participants and begin != (first := min(row["joined_at"] for row in participants)):
        yield f"The session starts at {_clock(begin)}, but who was first joined at {_clock(first)}."
    last = max((row["left_at"] for row in participants if row["left_at"]), default=None)
    if end is None or end != last:
        yield f"The session ends at {_clock(end)}, but who was last left at {_clock(last)}."
    elif session["duration_seconds"] != int((end - begin).total_seconds()):
        yield f"The duration of {session['duration_seconds']} s is not the time between start and end."


def _about_stays(played: Played, participants: Sequence[Row]) -> Iterator[str]:
    written = {row["participant_sid"]: row for row in participants}
    for stay in played.stays:
        row = written.pop(stay.participant_sid, None)
        if row is None:
            yield f"The stay of the {stay.identity} from {_clock(stay.joined_at)} is missing."
            continue
        for what, truth in (("joined_at", stay.joined_at), ("left_at", stay.left_at)):
            if row[what] is None or abs(row[what] - truth) > STAY_TOLERANCE:
                yield f"A stay of the {stay.identity}: {what} is {_clock(row[what])}, not {_clock(truth)}."
        if row["role"] != stay.identity:
            yield f"The {stay.identity} has the role {row['role']}."
    for row in written.values():
        yield f"A stay of {row['identity']} is written down that never was."


def _about_transcript(played: Played, transcript: Sequence[Row]) -> Iterator[str]:
    for stranger in {entry["identity"] for entry in transcript} - SPEAKERS.keys():
        yield f"The transcript has words of {stranger}, who was not there."
    errors = total = 0
    for identity, speaker in SPEAKERS.items():
        lines = [line for line in played.lines if line.identity == identity]
        entries = [entry for entry in transcript if entry["identity"] == identity]
        if any(entry["speaker"] != speaker for entry in entries):
            yield f"Not all words of the {identity} are written down as the {speaker}'s."
        for line in lines:
            if not any(_begins_or_spans(entry, line) for entry in entries):
                yield f"Nothing in the transcript begins with “{line.words}” at {_clock(line.begin)}."
        said = [word for line in lines for word in words_of(line.words)]
        errors += word_errors(said, [word for entry in entries for word in words_of(entry["text"])])
        total += len(said)
    if errors >= WORD_ERRORS_ALLOWED * total:
        yield f"{errors} of {total} words are wrong or missing in the transcript."


def _clock(moment: datetime | None) -> str:
    return f"{moment.astimezone():%H:%M:%S.%f}"[:-3] if moment else "no time"


def _begins_or_spans(entry: Row, line: Line) -> bool:
    """True when the entry begins with the line, or began earlier and holds it too."""
    begin, end = datetime.fromisoformat(entry["timestamp"]), datetime.fromisoformat(entry["end"])
    return abs(begin - line.begin) <= LINE_TOLERANCE or begin <= line.begin < end


def _about_readings(readings: Sequence[Row]) -> Iterator[str]:
    for identity in SPEAKERS:
        for source in ("microphone", "camera"):
            own = [row for row in readings if row["identity"] == identity and row["source"] == source]
            if not own:
                yield f"There is no reading of the {identity}'s {source}."
            elif problem := _insane(source, own):
                yield f"Of the {identity}'s {source} {problem}."


def _insane(source: str, readings: Sequence[Row]) -> str | None:
    if not any(row["bitrate_kbps"] for row in readings):
        return "no reading has a bitrate"
    if any((row["packets_lost"] or 0) < 0 for row in readings):
        return "a reading has lost less than no packets"
    if not any(row["packets_received"] for row in readings):
        return "no reading counts packets"
    if source == "camera" and not any(0 < (row["fps"] or 0) <= 60 for row in readings):
        return "no reading has a frame rate between 0 and 60"
    if source == "camera" and not any(row["width"] and row["height"] for row in readings):
        return "no reading has the size of the picture"
    return None


def _about_metrics(metrics: Row, readings: Sequence[Row]) -> Iterator[str]:
    ranges = {
        "average_bitrate": (1, 10_000),
        "average_fps": (1, 60),
        "packet_loss_percentage": (0, 100),
        "total_readings": (1, len(readings)),
    }
    for name, (least, most) in ranges.items():
        value = metrics.get(name)
        if isinstance(value, bool) or not isinstance(value, int | float) or not least <= value <= most:
            yield f"{name} is {value}, which is no number from {least} to {most}."
    if metrics.get("connection_quality_average") not in {"excellent", "good", "fair", "poor"}:
        yield "The quality of the connection is not known."
    for identity in SPEAKERS:
        if identity not in metrics.get("participants", {}):
            yield f"The averages of the {identity} are missing."
