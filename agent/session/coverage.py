"""How much of what was said is in the record: for each participant, and why not the rest.

Of someone who is present and whose microphone is on (audible), the recorder receives the sound (heard),
finds speech in it, and has it transcribed. What falls out at each step is named. Speech that was heard and
could not be transcribed is known to the tenth of a second. Of time in which nothing was heard nobody knows
how much was said: it counts as if all of it had been speech, so the share is the least that the record holds.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any

from agent.session.events import GapNoted, MicrophoneChanged, UtteranceHeard
from agent.session.spans import Span, seconds, union, within, without

TRANSCRIPTION_UNAVAILABLE = "transcription_unavailable"  # the gap is exactly the speech that was heard


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of one participant; `stays` all end, at the latest with the last that is known at all."""

    stays: Sequence[Span]
    microphones: Sequence[MicrophoneChanged]
    utterances: Sequence[UtteranceHeard]
    gaps: Sequence[GapNoted]  # also those of the whole room


def ledger(known: Known) -> dict[str, Any]:
    """One participant's seconds from present to transcribed, what was missed by reason, and the share."""
    told = union(Span(u.at, u.end) for u in known.utterances)
    untold = without(_spans(g for g in known.gaps if g.reason == TRANSCRIPTION_UNAVAILABLE), told)
    speech = union([*told, *untold])
    audible = union([*_audible(known), *speech])
    missed: dict[str, float] = {TRANSCRIPTION_UNAVAILABLE: seconds(untold)} if untold else {}
    unheard: list[Span] = []
    for gap in (g for g in known.gaps if g.reason != TRANSCRIPTION_UNAVAILABLE):
        new = without(within([Span(gap.at, gap.until)], audible), [*unheard, *speech])
        unheard += new
        if new:
            missed[gap.reason] = missed.get(gap.reason, 0.0) + seconds(new)
    figures = {
        "present": seconds(known.stays),
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
    """Of the seconds that were speech, or may have been, those that are transcribed; None without any."""
    everything = transcribed + missed
    return round(transcribed / everything, 4) if everything > 0 else None


def coverage(people: Mapping[str, Known]) -> dict[str, Any]:
    """The session's share and each participant's ledger."""
    ledgers = {identity: ledger(known) for identity, known in sorted(people.items())}
    transcribed = sum(own["transcribed"] for own in ledgers.values())
    missed = sum(sum(own["missed"].values()) for own in ledgers.values())
    return {"share": share(transcribed, missed), "participants": ledgers}


def _audible(known: Known) -> list[Span]:
    """While a microphone was on: until its track's next change, or the end of the stay."""
    on: list[Span] = []
    changes = sorted(known.microphones, key=lambda c: (c.track_sid, c.at, c.on))
    for change, following in zip_longest(changes, changes[1:]):
        ends = [stay.end for stay in known.stays if stay.end > change.at]
        if following is not None and following.track_sid == change.track_sid:
            ends.append(following.at)
        if change.on and ends:
            on.append(Span(change.at, min(ends)))
    return within(on, known.stays)


def _spans(gaps: Iterable[GapNoted]) -> list[Span]:
    return [Span(gap.at, gap.until) for gap in gaps]
