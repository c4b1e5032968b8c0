"""Time spans as sets of moments."""

from agent.session.spans import Span, seconds, union, within, without
from tests.unit.builders import at


def span(begin: float, end: float) -> Span:
    return Span(at(begin), at(end))


def test_spans_that_touch_or_overlap_are_one() -> None:
    assert union([span(5, 6), span(0, 2), span(1, 3), span(3, 4)]) == [span(0, 4), span(5, 6)]


def test_a_span_within_another_adds_nothing() -> None:
    assert union([span(0, 10), span(2, 3)]) == [span(0, 10)]


def test_a_span_that_ends_before_it_begins_is_empty() -> None:
    assert union([span(3, 2), span(4, 4)]) == []


def test_within_keeps_what_lies_in_the_limits() -> None:
    assert within([span(0, 4), span(6, 9)], [span(2, 7)]) == [span(2, 4), span(6, 7)]


def test_without_takes_out_the_middle_and_the_ends() -> None:
    assert without([span(0, 10)], [span(8, 12), span(3, 4), span(-1, 1)]) == [span(1, 3), span(4, 8)]


def test_without_anything_taken_all_is_left() -> None:
    assert without([span(0, 1), span(2, 3)], []) == [span(0, 1), span(2, 3)]


def test_what_is_covered_twice_counts_once() -> None:
    assert seconds([span(0, 4), span(2, 5), span(10, 11)]) == 6
