"""Against what ITU-T publishes: G.107 annex B and its default R, G.113 appendix I, G.114's curve of delay."""

import pytest

from agent.session.voice_quality import (
    delay_impairment,
    effective_equipment_impairment,
    mean_opinion_score,
    mos_of_rating,
    rating,
)


@pytest.mark.parametrize(
    ("r", "mos"),
    [
        (93.2, 4.41),
        (90, 4.34),
        (80, 4.03),
        (70, 3.60),
        (60, 3.10),
        (50, 2.58),
        (0, 1.0),
        (-5, 1.0),
        (100, 4.5),
    ],
)
def test_a_rating_as_a_mean_opinion_score(r: float, mos: float) -> None:
    assert mos_of_rating(r) == pytest.approx(mos, abs=0.0065)  # the table rounds up


def test_nothing_lost_and_no_delay_is_the_default_rating() -> None:
    assert rating(loss=0, delay_ms=0) == pytest.approx(93.2)


@pytest.mark.parametrize(("delay_ms", "r"), [(100, 93.2), (150, 92.6), (200, 90.2), (300, 78.2), (400, 69.1)])
def test_delay_costs_nothing_up_to_100_ms_and_then_ever_more(delay_ms: float, r: float) -> None:
    assert 93.2 - delay_impairment(delay_ms) == pytest.approx(r, abs=0.6)


@pytest.mark.parametrize(
    ("loss", "ie", "bpl", "impairment"),
    [(0, 11, 19, 11), (2, 0, 25.1, 7.0), (5, 0, 25.1, 15.8), (5, 11, 19, 28.5), (25.1, 0, 25.1, 47.5)],
)
def test_loss_impairs_less_where_the_codec_is_robust(
    loss: float, ie: float, bpl: float, impairment: float
) -> None:
    assert effective_equipment_impairment(loss, ie, bpl) == pytest.approx(impairment, abs=0.05)


def test_the_score_falls_with_loss_and_with_delay() -> None:
    by_loss = [mean_opinion_score(loss=loss, delay_ms=50) for loss in (0, 1, 5, 10, 50, 100)]
    by_delay = [mean_opinion_score(loss=0, delay_ms=delay) for delay in (100, 200, 400, 1000)]
    for scores in (by_loss, by_delay):
        assert scores == sorted(set(scores), reverse=True)
        assert all(1 <= score <= 4.41 for score in scores)
