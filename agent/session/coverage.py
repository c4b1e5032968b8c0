"""How much of what was said is in the record: for each participant, and why not the rest.

Of someone who is present and whose microphone is on (audible), the recorder receives the sound (heard),
finds speech in it, and has its words or is sent them (transcribed). What falls out at each step is named.
Speech that was heard and has no words is known to the tenth of a second. Of time in which nothing was heard
nobody knows how much was said: it counts as if all of it had been speech, so the share is the least that the
record holds. Nothing counts but while its speaker was there, whatever times anybody claims.
"""

from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any

from agent.session.events import GapNoted, MicrophoneChanged
from agent.session.reasons import OWN_WORDS_MISSING, OWN_WORDS_REFUSED
from agent.session.spans import Span, seconds, union, within, without

TRANSCRIPTION_UNAVAILABLE = "transcription_unavailable"
SPEECH_WITHOUT_WORDS = (TRANSCRIPTION_UNAVAILABLE, OWN_WORDS_MISSING)  # such a gap is exactly what was heard


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of one participant; `stays` all end, at the latest with the last that is known at all."""

    stays: Sequence[Span]
    microphones: Sequence[MicrophoneChanged]
    told: Sequence[Span]  # speech that has its words
    gaps: Sequence[GapNoted]  # also those of the whole room


def ledger(known: Known) -> dict[str, Any]:
    """One participant's seconds from present to transcribed, what was missed by reason, and the share."""
    present = union(known.stays)
    told = within(known.told, present)
    spans = _by_reason(known.gaps)
    missed: dict[str, float] = {}
    untold: list[Span] = []
    for reason in SPEECH_WITHOUT_WORDS:
        new = without(within(spans.pop(reason, ()), present), [*told, *untold])
        untold += new
        _add(missed, reason, new)
    speech = union([*told, *untold])
    audible = union([*_audible(known, present), *speech])
    if OWN_WORDS_REFUSED in spans:  # of whom nobody could hear, they are what was missed
        silent = without(within(spans[OWN_WORDS_REFUSED], present), audible)
        spans[OWN_WORDS_REFUSED] += silent
        audible = union([*audible, *silent])
    unheard: list[Span] = []
    for reason, own in sorted(spans.items()):
        new = without(within(own, audible), [*unheard, *speech])
        unheard += new
        _add(missed, reason, new)
    figures = {
        "present": seconds(present),
        "audible": seconds(audible),
        "heard": seconds(audible) - seconds(unheard),
        "speech": seconds(speech),
        "transcribed": seconds(told),
    }
    return {
        "share": share(figures["transcribed"], sum(missed.values())),
        **{name: round(value, 3) for name, value in figures.items()},
        "missed": {reason: round(value, 3) for reason, value in sorted(missed.items())},
    }


def share(transcribed: float, missed: float) -> float | None:
    """Of the seconds that were speech, or may have been, those that are transcribed; None without any.

    1 only where nothing is missed: it is not rounded up.
    """
    everything = transcribed + missed
    if everything <= 0:
        return None
    part = round(transcribed / everything, 4)
    return min(part, 0.9999) if missed > 0 else part


def coverage(people: Mapping[str, Known]) -> dict[str, Any]:
    """The session's share and each participant's ledger."""
    ledgers = {identity: ledger(known) for identity, known in sorted(people.items())}
    transcribed = sum(own["transcribed"] for own in ledgers.values())
    missed = sum(sum(own["missed"].values()) for own in ledgers.values())
    return {"share": share(transcribed, missed), "participants": ledgers}


def _audible(known: Known, present: Sequence[Span]) -> list[Span]:
    """While a microphone was on: until its track's next change, or the end of the stay."""
    on: list[Span] = []
    ends = sorted(stay.end for stay in known.stays)
    changes = sorted(known.microphones, key=lambda c: (c.track_sid, c.at, c.on))
    for change, following in zip_longest(changes, changes[1:]):
        until = ends[index : index + 1] if (index := bisect_right(ends, change.at)) < len(ends) else []
        if following is not None and following.track_sid == change.track_sid:
            until.append(following.at)
        if change.on and until:
            on.append(Span(change.at, min(until)))
    return within(on, present)


def _by_reason(gaps: Iterable[GapNoted]) -> dict[str, list[Span]]:
    spans: dict[str, list[Span]] = {}
    for gap in gaps:
        spans.setdefault(gap.reason, []).append(Span(gap.at, gap.until))
    return spans


def _add(missed: dict[str, float], reason: str, new: Sequence[Span]) -> None:
    if new:
        missed[reason] = seconds(new)
