"""One transcript from what Whisper heard and what participants say they said.

What was heard gives way only to its speaker's own words, and only where both read alike
(`agent.session.alike`). What is not alike stands, both: of an agent that says one thing and sends another
there are both, and of a person's own words it is known whether their like was heard.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

from agent.session.alike import Source
from agent.session.events import Speaker, UtteranceHeard, iso
from agent.session.words import words_of

_TOLD_AGAIN = 0.75  # more of its pairs of words than this are recorded about then: no other sentence
_CLOCKS_APART = timedelta(seconds=20)  # a client's clock, and when it says that words began


def voice_of(entry: Mapping[str, Any]) -> str:
    """Who said an entry of a stored transcript: an identity or, where a client told no more, `speaker`."""
    return str(entry.get("identity") or entry["speaker"])


def only_told(entry: Mapping[str, Any]) -> bool:
    """Whether a person sent these words of a stored transcript and nobody heard the like of them."""
    return entry.get("origin") == "person" and not entry.get("confirmed")


def beside(
    recorded: Sequence[Mapping[str, Any]], told: Iterable[Mapping[str, Any]]
) -> list[Mapping[str, Any]]:
    """A stored transcript with what clients told of it (`told_by`), by the time the words began.

    Nothing recorded gives way. What a client told is left out where words like it were recorded about then.
    """
    heard = sorted((_begin(entry), _pairs(entry["text"])) for entry in recorded)
    near: Counter[tuple[str, ...]] = Counter()
    first = last = 0
    kept: list[Mapping[str, Any]] = []
    for entry in sorted(told, key=_begin):
        at = _begin(entry)
        while last < len(heard) and heard[last][0] <= at + _CLOCKS_APART:
            near.update(heard[last][1])
            last += 1
        while first < last and heard[first][0] < at - _CLOCKS_APART:
            near.subtract(heard[first][1])
            first += 1
        pairs = Counter(_pairs(entry["text"]))
        alike = sum(min(count, near[pair]) for pair, count in pairs.items())
        if alike <= _TOLD_AGAIN * pairs.total():
            kept.append(entry)
    return sorted([*recorded, *kept], key=_begin)


def _begin(entry: Mapping[str, Any]) -> datetime:
    return datetime.fromisoformat(entry["timestamp"])


def _pairs(text: str) -> list[tuple[str, ...]]:
    """Each two words that follow each other: their order counts; a single word is alike only to another."""
    words = words_of(text)
    return list(pairwise(words)) if len(words) > 1 else [(word,) for word in words]


@dataclass(frozen=True, slots=True)
class Line:
    """An utterance as it stands in the record; `confirmed`: a person's own words whose like was heard."""

    said: UtteranceHeard
    confirmed: bool

    @property
    def origin(self) -> str | None:
        """Whose words: heard, an agent's own, a person's own; None: own, from before that was told."""
        return "heard" if self.said.source == "whisper" else self.said.told


def in_order(utterances: Iterable[UtteranceHeard]) -> list[Line]:
    """Utterances by the time they began; of what was heard and sent alike, what was sent."""
    everything = list(_once(sorted(utterances, key=_order)))
    voices: dict[str, list[UtteranceHeard]] = {}
    for utterance in everything:
        if utterance.track is None:  # what they play to the room is none of their words
            voices.setdefault(utterance.identity, []).append(utterance)
    confirmed: set[int] = set()
    dropped: set[int] = set()
    for said in voices.values():
        _compare(said, confirmed, dropped)
    return [Line(u, confirmed=id(u) in confirmed) for u in everything if id(u) not in dropped]


def _once(ordered: Iterable[UtteranceHeard]) -> Iterator[UtteranceHeard]:
    """Own words of whatever claimed times that stand at the same time in the record are one."""
    before = None
    for utterance in ordered:
        if utterance.source == "whisper" or utterance != before:
            yield utterance
        before = utterance


def _compare(said: Sequence[UtteranceHeard], confirmed: set[int], dropped: set[int]) -> None:
    """One voice: a person's own words count where they were heard; what was heard gives way to what counts.

    Own words from a record (`confirmed` is told) were compared when it was made, and stand for nothing else.
    """
    heard = [u for u in said if u.source == "whisper"]
    own = [u for u in said if u.source == "data" and u.confirmed is None]
    confirmed.update(id(u) for u in said if u.confirmed)
    if heard and own:
        ears = Source(heard)
        confirmed.update(id(u) for u in own if u.told == "person" and ears.takes(u))
        counts = Source([u for u in own if u.told != "person" or id(u) in confirmed])
        dropped.update(id(u) for u in heard if counts.takes(u))
    known = {_what(u) for u in own}
    dropped.update(id(u) for u in said if u.confirmed is not None and _what(u) in known)


def _order(u: UtteranceHeard) -> tuple[object, ...]:
    what = (u.at, u.identity, u.source, u.end, u.track or "", u.text, u.language or "")
    return *what, u.told or "", u.sent_by or "", str(u.confirmed)


def _what(u: UtteranceHeard) -> tuple[object, ...]:
    return u.at, u.end, u.text


def entry_of(line: Line, speaker: Speaker) -> dict[str, Any]:
    """A line as it is stored."""
    said = line.said
    told = {"origin": line.origin, "sent_by": said.sent_by, "language": said.language, "track": said.track}
    return {
        "speaker": speaker,
        "text": said.text,
        "timestamp": iso(said.at),
        "end": iso(said.end),
        "identity": said.identity,
        "source": said.source,
        **{name: value for name, value in told.items() if value},
        **({"confirmed": True} if line.confirmed else {}),
    }
