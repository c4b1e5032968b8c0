"""What two recorders of one room have both told: they hear the same words and read the same counters.

Rare, and never for long (a start on a machine so busy that the first seemed dead), but nothing may be in a
record twice. Joins, leaves and states need no care: the fold takes them as one.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Hashable, Iterable, Iterator, Sequence
from datetime import timedelta
from itertools import accumulate

from agent.session.events import Event, QualityRead, UtteranceHeard
from agent.session.spans import Span, mostly_the_same

RECEIVED_APART = timedelta(seconds=0.5)  # one message, as two recorders received it


def without_doubles(events: Iterable[Event], told: Iterable[Event]) -> list[Event]:
    """Those of the events that are not told already, by another recorder in its own way."""
    told_of: dict[Hashable, list[Span]] = {}
    for event in told:
        if (source := _source(event)) is not None:
            told_of.setdefault(source, []).append(_span(event))
    known = {source: _Known(spans) for source, spans in told_of.items()}
    return [event for event in events if (k := known.get(_source(event))) is None or not k.has(event)]


class _Known:
    """What was told of one source."""

    def __init__(self, spans: Iterable[Span]) -> None:
        self._spans: Sequence[Span] = sorted(spans)
        self._latest = list(accumulate((span.end for span in self._spans), max))

    def has(self, event: Event) -> bool:
        """Whether the same is among it, told in another way."""
        return any(_same(event, span, _span(event)) for span in self._near(_span(event)))

    def _near(self, span: Span) -> Iterator[Span]:
        first = bisect_left(self._latest, span.begin - RECEIVED_APART)
        last = bisect_right(self._spans, span.end + RECEIVED_APART, key=lambda known: known.begin)
        return (self._spans[n] for n in range(first, last))


def _source(event: Event) -> Hashable:
    """What can be told twice comes from the same place; own words are the same where they read the same."""
    match event:
        case UtteranceHeard(source="data"):
            return event.identity, event.source, event.track, event.text
        case UtteranceHeard():
            return event.identity, event.source, event.track
        case QualityRead():
            return event.identity, event.track_sid, event.leg
        case _:
            return None


def _span(event: Event) -> Span:
    match event:
        case UtteranceHeard() if not _is_own_words(event):
            return Span(event.at, event.end)
        case QualityRead():
            return Span(event.at - timedelta(seconds=event.seconds), event.at)
        case _:
            return Span(event.at, event.at)


def _is_own_words(event: Event) -> bool:
    return isinstance(event, UtteranceHeard) and event.source == "data" and bool(event.text)


def _same(event: Event, known: Span, span: Span) -> bool:
    if _is_own_words(event):
        return abs(known.begin - span.begin) <= RECEIVED_APART
    return mostly_the_same(known, span)
