"""What two recorders of one room have both told: they hear the same words and read the same counters.

Rare, and never for long (a start on a machine so busy that the first seemed dead), but nothing may be in a
record twice. Joins, leaves and states need no care: the fold takes them as one.
"""

from collections.abc import Hashable, Iterable
from datetime import timedelta

from agent.session.events import Event, QualityRead, UtteranceHeard
from agent.session.spans import Span, mostly_the_same

RECEIVED_APART = timedelta(seconds=0.5)  # one message, as two recorders received it


def without_doubles(events: Iterable[Event], told: Iterable[Event]) -> list[Event]:
    """Those of the events that are not told already, by another recorder in its own way."""
    told_of: dict[Hashable, list[Event]] = {}
    for event in told:
        if (source := _source(event)) is not None:
            told_of.setdefault(source, []).append(event)
    return [event for event in events if not any(_same(event, t) for t in told_of.get(_source(event), ()))]


def _source(event: Event) -> Hashable:
    """What can be told twice comes from the same place."""
    match event:
        case UtteranceHeard():
            return event.identity, event.source, event.track
        case QualityRead():
            return event.identity, event.track_sid, event.leg
        case _:
            return None


def _same(one: Event, other: Event) -> bool:
    match one, other:
        case UtteranceHeard(source="data", text=text), UtteranceHeard() if text:
            return text == other.text and abs(one.at - other.at) <= RECEIVED_APART
        case UtteranceHeard(), UtteranceHeard():
            return mostly_the_same(Span(one.at, one.end), Span(other.at, other.end))
        case QualityRead(), QualityRead():
            return mostly_the_same(_interval(one), _interval(other))
        case _:
            return False


def _interval(reading: QualityRead) -> Span:
    return Span(reading.at - timedelta(seconds=reading.seconds), reading.at)
