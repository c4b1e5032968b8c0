"""Arithmetic of time spans: what is covered by any, by both, by one and not the other."""

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta


@dataclass(frozen=True, slots=True, order=True)
class Span:
    """From `begin` to `end`; empty where the end is not after the beginning."""

    begin: datetime
    end: datetime


def union(spans: Iterable[Span]) -> list[Span]:
    """The same time in as few spans as possible, in order."""
    merged: list[Span] = []
    for span in sorted(s for s in spans if s.end > s.begin):
        if merged and span.begin <= merged[-1].end:
            merged[-1] = Span(merged[-1].begin, max(merged[-1].end, span.end))
        else:
            merged.append(span)
    return merged


def within(spans: Iterable[Span], limits: Iterable[Span]) -> list[Span]:
    """The part of `spans` that lies in `limits`."""
    bounds = union(limits)
    return [part for span in union(spans) for part in _common(span, bounds)]


def without(spans: Iterable[Span], taken: Iterable[Span]) -> list[Span]:
    """The part of `spans` that lies outside `taken`."""
    holes = union(taken)
    return [part for span in union(spans) for part in rest_of(span, holes)]


def rest_of(span: Span, holes: Sequence[Span]) -> list[Span]:
    """The parts of one span outside of `holes`, which are a `union`."""
    rest, begin = [], span.begin
    for common in _common(span, holes):
        if common.begin > begin:
            rest.append(Span(begin, common.begin))
        begin = common.end
    return [*rest, Span(begin, span.end)] if span.end > begin else rest


def _common(span: Span, bounds: Sequence[Span]) -> Iterator[Span]:
    """What one span and a `union` share."""
    index = bisect_right(bounds, span.begin, key=lambda bound: bound.end)
    while index < len(bounds) and bounds[index].begin < span.end:
        yield Span(max(span.begin, bounds[index].begin), min(span.end, bounds[index].end))
        index += 1


def seconds(spans: Iterable[Span]) -> float:
    """How long all of them are together; what is covered twice counts once."""
    return sum((span.end - span.begin).total_seconds() for span in union(spans))


def mostly_the_same(one: Span, other: Span) -> bool:
    """The same stretch, cut elsewhere: half of the shorter one lies in the other."""
    common = min(one.end, other.end) - max(one.begin, other.begin)
    return common > timedelta(0) and 2 * common >= min(one.end - one.begin, other.end - other.begin)
