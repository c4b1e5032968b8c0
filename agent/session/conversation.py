"""What coaches ask of a conversation: who spoke how much, for how long at a stretch, how soon, over whom.

A turn is what one person says until somebody else speaks (or until a pause of `PAUSE`). What somebody
else says inside of it, and no longer than `BACKCHANNEL`, is listening aloud ("mhm"): it takes the floor from
nobody and is no interruption. Response time is the silence between the end of one turn and the beginning of
another person's next (the floor-transfer offset of Heldner and Edlund, 2010, where it is not negative).
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from statistics import median
from typing import Any, TypeVar

from agent.session.spans import Span, seconds
from agent.session.transcript import only_told, voice_of

PAUSE = timedelta(seconds=10)  # a longer silence of one speaker ends their turn
BACKCHANNEL = timedelta(seconds=1)
OVERLAP = timedelta(seconds=0.3)  # begun so long before the other's end: an interruption, not a quick answer
_WORD_SECONDS = 0.4  # 150 words a minute: the length of words whose end nobody told


@dataclass(frozen=True, slots=True)
class Said:
    """One utterance: who, from when to when, and how many words."""

    identity: str
    begin: datetime
    end: datetime
    words: int

    @property
    def length(self) -> timedelta:
        return self.end - self.begin


@dataclass(frozen=True, slots=True)
class Turn:
    """Somebody's stretch of the conversation."""

    identity: str
    begin: datetime
    end: datetime
    overlaps: bool  # it began while somebody else was still speaking

    @property
    def length(self) -> timedelta:
        return self.end - self.begin


def said_in(transcript: Iterable[Mapping[str, Any]]) -> list[Said]:
    """A stored transcript's utterances in their speakers' own voices, by the time they began.

    What a person sent and nobody heard is no measure of the conversation.
    """
    own = (entry for entry in transcript if not entry.get("track") and not only_told(entry))
    return sorted(map(_said, own), key=lambda s: (s.begin, s.identity, s.end))


def turns(said: Sequence[Said]) -> list[Turn]:
    """Utterances as turns; listening aloud belongs to none."""
    made: list[Turn] = []
    for utterance in said:
        last = made[-1] if made else None
        if last and last.identity == utterance.identity and utterance.begin - last.end <= PAUSE:
            made[-1] = Turn(last.identity, last.begin, max(last.end, utterance.end), last.overlaps)
        elif not (last and utterance.end <= last.end and utterance.length <= BACKCHANNEL):
            overlaps = last is not None and last.end - utterance.begin >= OVERLAP
            made.append(Turn(utterance.identity, utterance.begin, utterance.end, overlaps))
    return made


def measures(transcript: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """The whole conversation's silence and turns, and each speaker's figures; times in seconds."""
    said = said_in(transcript)
    taken = turns(said)
    by_speaker, turns_of, waits = _by_identity(said), _by_identity(taken), _waits(taken)
    spoken = {who: _seconds(own) for who, own in sorted(by_speaker.items())}
    everyone = sum(spoken.values())
    length = (max(s.end for s in said) - said[0].begin).total_seconds() if said else 0.0
    return {
        "turns": len(taken),
        "silence_percentage": round(100 * (1 - _seconds(said) / length), 1) if length > 0 else None,
        "participants": {
            who: {
                "talk_seconds": round(own, 1),
                "talk_share": round(own / everyone, 4) if everyone > 0 else None,
                "words": (words := sum(s.words for s in by_speaker[who])),
                "words_per_minute": round(60 * words / own) if own > 0 else None,
                **_of_turns(turns_of.get(who, []), waits.get(who, [])),
            }
            for who, own in spoken.items()
        },
    }


Of = TypeVar("Of", Said, Turn)


def _by_identity(things: Iterable[Of]) -> dict[str, list[Of]]:
    own: dict[str, list[Of]] = {}
    for thing in things:
        own.setdefault(thing.identity, []).append(thing)
    return own


def _waits(taken: Sequence[Turn]) -> dict[str, list[float]]:
    """Each one's silences, in seconds, before they answered somebody else."""
    waits: dict[str, list[float]] = {}
    for before, turn in pairwise(taken):
        if before.identity != turn.identity and turn.begin >= before.end:
            waits.setdefault(turn.identity, []).append((turn.begin - before.end).total_seconds())
    return waits


def _of_turns(own: Sequence[Turn], waits: Sequence[float]) -> dict[str, Any]:
    longest = max(own, key=lambda turn: turn.length, default=None)
    return {
        "turns": len(own),
        "longest_turn_seconds": round(longest.length.total_seconds(), 1) if longest else None,
        "longest_turn_at": longest.begin if longest else None,
        "response_seconds": round(median(waits), 1) if waits else None,
        "interruptions": sum(turn.overlaps for turn in own),
    }


def _seconds(said: Iterable[Said]) -> float:
    return seconds(Span(s.begin, s.end) for s in said)


def _said(entry: Mapping[str, Any]) -> Said:
    begin = datetime.fromisoformat(entry["timestamp"])
    words = len(entry["text"].split())
    end = datetime.fromisoformat(entry["end"]) if entry.get("end") else begin
    if end <= begin:  # words that were sent, not heard
        end = begin + timedelta(seconds=words * _WORD_SECONDS)
    return Said(voice_of(entry), begin, end, words)
