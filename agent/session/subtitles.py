"""A transcript in the formats people use: plain text, WebVTT (W3C) and SubRip.

Times are seconds into the session. What was said before its start (by a clock that differs) counts as at 0.
`names`: of people, by identity; `tellers`: of those whose client told something (`told_by`), by user id.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from agent.session.transcript import only_told, voice_of

Entry = Mapping[str, Any]
_LEAST = timedelta(seconds=1)  # shown so long where nobody told the end
_NOBODY: Mapping[str, str] = {}
_BLANK = re.compile(r"\s+")


def text(
    transcript: Iterable[Entry],
    start: datetime,
    names: Mapping[str, str],
    tellers: Mapping[str, str] = _NOBODY,
) -> str:
    """`[00:00:12] Sam: I want to study biology.`, one line an utterance."""
    lines = (
        f"[{_clock(begin)}] {who}: {words}"
        for begin, _, who, words in _cues(transcript, start, names, tellers)
    )
    return "".join(f"{line}\n" for line in lines)


def webvtt(
    transcript: Iterable[Entry],
    start: datetime,
    names: Mapping[str, str],
    tellers: Mapping[str, str] = _NOBODY,
) -> str:
    """WebVTT with a voice tag for each speaker."""
    blocks = ["WEBVTT\n\n"]
    for begin, end, who, words in _cues(transcript, start, names, tellers):
        voice = _escaped(who)
        blocks.append(f"{_clock(begin, '.')} --> {_clock(end, '.')}\n<v {voice}>{_escaped(words)}</v>\n\n")
    return "".join(blocks)


def subrip(
    transcript: Iterable[Entry],
    start: datetime,
    names: Mapping[str, str],
    tellers: Mapping[str, str] = _NOBODY,
) -> str:
    """SubRip (.srt); it has no notion of a speaker, so the name stands before the words."""
    blocks = (
        f"{number}\n{_clock(begin, ',')} --> {_clock(end, ',')}\n{who}: {words}\n\n"
        for number, (begin, end, who, words) in enumerate(_cues(transcript, start, names, tellers), start=1)
    )
    return "".join(blocks)


def _cues(
    transcript: Iterable[Entry], start: datetime, names: Mapping[str, str], tellers: Mapping[str, str]
) -> Iterator[tuple[timedelta, timedelta, str, str]]:
    entries: Sequence[Entry] = sorted(transcript, key=lambda e: datetime.fromisoformat(e["timestamp"]))
    for entry in entries:
        begin = max(datetime.fromisoformat(entry["timestamp"]) - start, timedelta())
        told = datetime.fromisoformat(entry["end"]) - start if entry.get("end") else begin
        identity = voice_of(entry)
        who = _line(names.get(identity) or identity)
        if entry.get("told_by"):
            who += _told(who, _line(tellers.get(entry["told_by"], "")))
        elif only_told(entry):
            sender = entry.get("sent_by") or ""
            who += _told(who, _line(names.get(sender) or sender))
        yield begin, max(told, begin + _LEAST), who, _line(entry["text"])


def _told(who: str, teller: str) -> str:
    """By somebody's client, not heard; by whose, where it is not who is said to have said it."""
    return f" (told by {teller})" if teller and teller != who else " (told)"


def _line(words: str) -> str:
    """One line: an empty one would end the cue, and `-->` begin another."""
    return _BLANK.sub(" ", words).replace("-->", "->").strip()


def _escaped(words: str) -> str:
    return words.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _clock(moment: timedelta, decimal: str = "") -> str:
    """`01:01:01.500`; whole seconds without a decimal mark."""
    milliseconds = round(moment / timedelta(milliseconds=1))
    minutes, rest = divmod(milliseconds, 60_000)
    hours, minutes = divmod(minutes, 60)
    whole = f"{hours:02d}:{minutes:02d}:{rest // 1000:02d}"
    return f"{whole}{decimal}{rest % 1000:03d}" if decimal else whole
