"""Connection quality is LiveKit's score as a state, weighted by the time that it held."""

import pytest

from agent.session.events import Event
from agent.session.fold import fold
from tests.unit.builders import gap, info, joined, left, reading, scored


def score_of(events: list[Event], identity: str | None = None) -> str:
    metrics = fold(info(), events).quality_metrics()
    figures = metrics["participants"][identity] if identity else metrics
    return str(figures["connection_quality_average"])


def test_a_scripted_sequence_comes_out_as_computed_by_hand() -> None:
    script: list[Event] = [
        joined(0),
        scored(5, "excellent"),  # 40 s x 4 = 160
        scored(45, "good"),  # 10 s x 3 = 30
        scored(55, "poor"),  # 20 s x 1 = 20
        scored(75, "lost"),  # 5 s x 0 = 0
        scored(80, "excellent"),  # 20 s x 4 = 80
        left(100),
    ]
    assert score_of(script) == "good"  # 290 / 95 s = 3.05; it would be 2.9 if the first 5 s counted as lost


@pytest.mark.parametrize(
    ("seconds_poor", "word"),
    [(16, "excellent"), (17, "good"), (50, "good"), (51, "fair"), (83, "fair"), (84, "poor")],
)
def test_the_thresholds_are_3_5_and_2_5_and_1_5(seconds_poor: float, word: str) -> None:
    """Of 100 s, P poor and the others excellent: 4 - 3P / 100."""
    assert score_of([joined(0), scored(0, "poor"), scored(seconds_poor, "excellent"), left(100)]) == word


def test_the_time_before_the_first_score_counts_for_nothing() -> None:
    assert score_of([joined(0), scored(90, "poor"), left(100)]) == "poor"
    assert score_of([joined(0), left(100)]) == "unknown"


def test_a_score_told_again_changes_nothing() -> None:
    """LiveKit tells everybody's whenever anybody's changed."""
    once: list[Event] = [joined(0), scored(0, "poor"), scored(90, "excellent"), left(100)]
    assert score_of([*once, scored(30, "poor"), scored(60, "poor"), scored(95, "excellent")]) == score_of(
        once
    )


def test_after_a_rejoin_the_score_is_unknown_until_it_is_told() -> None:
    events: list[Event] = [
        joined(0, sid="PA_1"),
        scored(0, "excellent"),
        left(10, sid="PA_1"),
        joined(20, sid="PA_2"),
        scored(90, "poor"),
        left(100, sid="PA_2"),
    ]
    assert score_of(events) == "good"  # 10 s x 4 + 10 s x 1, not 4 for the 70 s in which nothing was told


def test_a_score_goes_on_while_the_recorder_is_cut_off() -> None:
    events: list[Event] = [joined(0), scored(0, "excellent"), gap(50, 60, "recorder_cut_off"), left(100)]
    assert score_of(events) == "excellent"


def test_everyone_has_a_score_and_the_session_that_of_all_their_time() -> None:
    events: list[Event] = [
        joined(0),
        joined(0, "counselor", role="counselor"),
        scored(0, "excellent"),
        scored(0, "poor", "counselor"),
        left(30),
        left(100, "counselor"),
        reading(10),
    ]
    assert (score_of(events, "student"), score_of(events, "counselor")) == ("excellent", "poor")
    assert score_of(events) == "fair"  # (30 x 4 + 100 x 1) / 130 = 1.69
