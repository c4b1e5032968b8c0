"""One transcript from two sources: what Whisper heard, and what participants say they said."""

from collections.abc import Iterable
from datetime import timedelta
from difflib import SequenceMatcher

from agent.session.events import UtteranceHeard

# A sender's first own words may reach us after Whisper wrote the same ones down; nothing older is the same.
_LATENESS = timedelta(seconds=30)
_ALIKE = 0.6  # difflib ratio of word sequences above which two texts are one utterance heard twice


def in_order(utterances: Iterable[UtteranceHeard]) -> list[UtteranceHeard]:
    """Utterances by the time they began, without what Whisper heard of a sender's own transcript."""
    everything = sorted(utterances, key=lambda u: (u.at, u.identity, u.source, u.end, u.text))
    first_own: dict[str, UtteranceHeard] = {}
    for utterance in everything:
        if utterance.source == "data":
            first_own.setdefault(utterance.identity, utterance)
    return [u for u in everything if u.source == "data" or not _superseded(u, first_own.get(u.identity))]


def _superseded(heard: UtteranceHeard, first_own: UtteranceHeard | None) -> bool:
    if first_own is None:
        return False
    if heard.end > first_own.at:
        return True
    return first_own.at - heard.end < _LATENESS and _alike(heard.text, first_own.text)


def _alike(one: str, other: str) -> bool:
    return SequenceMatcher(None, _words(one), _words(other)).ratio() > _ALIKE


def _words(text: str) -> list[str]:
    return ["".join(c for c in word if c.isalnum()) for word in text.casefold().split()]
