"""One transcript from two sources: what Whisper heard, and what participants say they said.

From someone's first own message on Whisper does not hear their microphone. But it may have heard the same
words before: those were said before the message came, or while its recorder was not there yet. So what
Whisper heard gives way to own messages about the same time, and only to these: when the messages end (their
sender came back without them, the agent that sent them left), Whisper's words are all there are.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from difflib import SequenceMatcher
from itertools import pairwise
from typing import Any

from agent.session.events import UtteranceHeard
from agent.session.words import words_of

# Own words without a time of their own count from when they came, after they were said; nothing that
# Whisper heard earlier than this before them is the same.
_LATENESS = timedelta(seconds=30)
_TOLD_AGAIN = 0.75  # more of its pairs of words than this are recorded about then: no other sentence
_CLOCKS_APART = timedelta(seconds=20)  # a client's clock, and when it says that words began
_ALIKE = 0.6  # so much of what Whisper heard is in the own messages: then it is the same, heard twice


def voice_of(entry: Mapping[str, Any]) -> str:
    """Who said an entry of a stored transcript: an identity or, where a client told no more, `speaker`."""
    return str(entry.get("identity") or entry["speaker"])


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


def in_order(utterances: Iterable[UtteranceHeard]) -> list[UtteranceHeard]:
    """Utterances by the time they began, without what Whisper heard of a sender's own transcript."""
    everything = sorted(
        utterances, key=lambda u: (u.at, u.identity, u.source, u.end, u.track or "", u.text, u.language or "")
    )
    own: dict[str, list[UtteranceHeard]] = {}
    for utterance in everything:
        if utterance.source == "data":
            own.setdefault(utterance.identity, []).append(utterance)
    return [u for u in everything if u.source == "data" or not _superseded(u, own.get(u.identity, []))]


def _superseded(heard: UtteranceHeard, own: Sequence[UtteranceHeard]) -> bool:
    """Somebody's own words are of their microphone, not of what they play to the room."""
    if heard.track is not None:
        return False
    near = [said for said in own if said.end > heard.at and said.at < heard.end + _LATENESS]
    meanwhile = any(said.at < heard.end for said in near)
    return meanwhile or _share_of(heard.text, " ".join(said.text for said in near)) > _ALIKE


def _share_of(heard: str, said: str) -> float:
    """How much of the words heard is, in their order, among those said.

    Not the other way round: one message may be of several utterances, with the pauses between them, and
    one utterance of several messages.
    """
    one, other = words_of(heard), words_of(said)
    blocks = SequenceMatcher(None, one, other, autojunk=False).get_matching_blocks()
    return sum(block.size for block in blocks) / len(one) if one else 0.0
