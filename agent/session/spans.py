"""Arithmetic of time spans: what is covered by any, by both, by one and not the other."""

from collections.abc import Iterable
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
    return union(Span(max(s.begin, b.begin), min(s.end, b.end)) for s in union(spans) for b in bounds)


def without(spans: Iterable[Span], taken: Iterable[Span]) -> list[Span]:
    """The part of `spans` that lies outside `taken`."""
    rest = union(spans)
    for hole in union(taken):
        rest = [
            part
            for s in rest
            for part in (Span(s.begin, min(s.end, hole.begin)), Span(max(s.begin, hole.end), s.end))
            if part.end > part.begin
        ]
    return rest


def seconds(spans: Iterable[Span]) -> float:
    """How long all of them are together; what is covered twice counts once."""
    return sum((span.end - span.begin).total_seconds() for span in union(spans))


def mostly_the_same(one: Span, other: Span) -> bool:
    """The same stretch, cut elsewhere: half of the shorter one lies in the other."""
    common = min(one.end, other.end) - max(one.begin, other.begin)
    return common > timedelta(0) and 2 * common >= min(one.end - one.begin, other.end - other.begin)
