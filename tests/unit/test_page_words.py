"""Figures as people say them, and time on paper."""

from dataclasses import asdict
from typing import Any

import pytest

from tests.unit.builders import at, reading
from web.pages import words
from web.pages.scale import Scale, charts


@pytest.mark.parametrize(
    ("seconds", "told"),
    [
        (None, ""),
        (0, "0s"),
        (45, "45s"),
        (60, "1m 00s"),
        (1425, "23m 45s"),
        (3720, "1h 02m"),
        (90_000, "25h 00m"),
    ],
)
def test_a_duration(seconds: int | None, told: str) -> None:
    assert words.duration(seconds) == told


@pytest.mark.parametrize(("seconds", "told"), [(-3, "0:00"), (0, "0:00"), (83.9, "1:23"), (3723, "1:02:03")])
def test_a_moment_in_a_session(seconds: float, told: str) -> None:
    assert words.clock(seconds) == told


def test_quality_in_words_and_figures() -> None:
    metrics = {
        "connection_quality_average": "excellent",
        "average_bitrate": 452.4,
        "average_fps": 14.8,
        "packet_loss_percentage": 0.04,
    }
    assert words.quality(metrics) == {
        "state": "excellent",
        "word": "Excellent",
        "figures": "452 kbit/s · 15 fps · 0.0 % lost",
    }
    assert words.quality({}) == {"state": "unknown", "word": "Not rated", "figures": ""}
    assert words.quality({"connection_quality_average": '"><script>', "average_fps": "many"})["figures"] == ""


def test_almost_all_is_not_all() -> None:
    assert (words.percent(0.9996), words.percent(1.0), words.percent(None)) == ("99.9 %", "100 %", "")


def test_a_category_as_a_title() -> None:
    assert words.category({"counselor_category": "college_essay"}) == "College essay"
    assert words.category({"counselor_category": None}) == "Coaching session"


def row(seconds: float, **figures: Any) -> dict[str, Any]:
    told = asdict(reading(seconds, **{"packets_lost": 0, "packets_received": 100, "fps": 15.0} | figures))
    return {**told, "read_at": told["at"]}


def test_moments_lie_on_paper_as_in_time_and_never_beside_it() -> None:
    scale = Scale(at(0), at(100))
    assert [scale.at(at(s)) for s in (-5, 0, 25, 100, 120)] == [0, 0, 250, 1000, 1000]
    assert scale.bar(at(50), at(50)).width > 0
    assert scale.ticks()[:3] == [(0.0, 0.0), (300.0, 30.0), (600.0, 60.0)]
    assert Scale(at(0), at(0)).at(at(0)) == 0


def test_a_line_is_level_over_each_reading_and_breaks_where_there_is_none() -> None:
    scale = Scale(at(0), at(100))
    rows = [row(10, kbps=50), row(20, kbps=100), row(60, kbps=75)]
    bitrate = charts(scale, rows)[0]
    assert (bitrate.title, bitrate.top) == ("Bitrate", 100)
    assert bitrate.lines[0].path == "M0 50H100V0H200M500 25H600"


def test_what_a_client_measured_of_itself_is_in_no_chart() -> None:
    assert charts(Scale(at(0), at(100)), [row(10, leg="client_to_sfu")]) == []


def test_without_a_camera_the_microphones_bitrate_is_shown_and_no_pictures() -> None:
    told = charts(Scale(at(0), at(100)), [row(10, source="microphone", fps=None)])
    assert [chart.title for chart in told] == ["Bitrate", "Packets lost"]
