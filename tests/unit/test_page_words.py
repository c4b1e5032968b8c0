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
        "total_readings": 12,
    }
    assert words.quality(metrics, "video") == {
        "state": "excellent",
        "word": "Excellent",
        "figures": "452 kbit/s · 15 fps · 0.0 % lost",
    }
    assert words.quality({}, "video") == {"state": "unknown", "word": "Not rated", "figures": ""}
    wrong = {"connection_quality_average": '"><script>', "average_fps": "many", "average_bitrate": 1e308}
    assert words.quality(wrong, "video") == {"state": "unknown", "word": "Not rated", "figures": ""}


def test_halves_go_up_and_voice_has_no_pictures() -> None:
    metrics = {
        "average_bitrate": 812.5,
        "average_fps": 0.0,
        "packet_loss_percentage": 0.25,
        "total_readings": 2,
    }
    assert words.quality(metrics, "voice")["figures"] == "813 kbit/s · 0.3 % lost"
    assert words.quality(metrics, "video")["figures"] == "813 kbit/s · 0 fps · 0.3 % lost"


@pytest.mark.parametrize("metrics", [{"source": "client", "total_readings": 142}, {}])
def test_a_clients_own_figures_are_said_to_be_that(metrics: dict[str, Any]) -> None:
    told = metrics | {"average_bitrate": 812.5, "connection_quality_average": "good"}
    assert words.quality(told, "video")["figures"] == "813 kbit/s · told by the client"
    assert words.quality(metrics | {"connection_quality_average": "unknown"}, "video")["figures"] == ""


def test_almost_all_is_not_all() -> None:
    assert (words.percent(0.9996), words.percent(1.0), words.percent(None)) == ("99.9 %", "100 %", "")


def test_a_category_as_a_title() -> None:
    for told, title in (
        ("college_essay", "College essay"),
        ("SAT-prep", "SAT prep"),
        ("physics101", "Physics101"),
        ("9th-grade", "9th grade"),
        ("Was kostet das Studium?", "Was kostet das Studium?"),
        ("大学", "大学"),
    ):
        assert words.category({"counselor_category": told}, {}) == title


@pytest.mark.parametrize(
    "told",
    [
        None,
        "",
        "d0703b74-5df5-4d5e-9a5e-0d9f1c2b3a44",
        "D0703B745DF54D5E9A5E0D9F1C2B3A44",
        "17",
        "507f1f77bcf86cd799439011",
        "cjld2cjxh0000qzrmn831i7rn",
        "01ARZ3NDEKTSV4RRFFQ69G5FAV",
        "V1StGXR8_Z5jdHi6B-myT",
        "cat_8f3kQ2x9",
    ],
)
def test_an_id_is_no_title_unless_it_has_a_name(told: str | None) -> None:
    assert words.category({"counselor_category": told}, {}) == "Coaching session"
    if told:
        assert words.category({"counselor_category": told}, {told: "College"}) == "College"
        assert words.category({"counselor_category": told.upper()}, {told.lower(): "College"}) == "College"


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
