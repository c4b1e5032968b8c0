from datetime import UTC, datetime
from io import StringIO
from typing import Any

import pytest
from rich.console import Console

from agent.demo.report import print_record
from agent.printable import printable

FIGURES = (
    "bitrate_kbps fps packets_lost packets_received packets_lost_upstream jitter_ms round_trip_ms mos "
    "freeze_seconds width height"
)
TEN = datetime(2026, 3, 1, 10, 0, tzinfo=UTC)
HOSTILE = "[red]Sam[/red] [link=https://evil.example]x[/link] \x1b[2J\u202e\x07\nThe record is complete."


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Zoë, 李, علی", "Zoë, 李, علی"),
        ("می‌خواهم", "می‌خواهم"),  # written with a joiner
        ("👩‍🏫", "👩‍🏫"),
        ("a\x1b[31mb", r"a\x1b[31mb"),
        ("a\u202eb\u2066c", r"a\u202eb\u2066c"),
        ("one\r\ntwo\u2028three", r"one\r\ntwo\u2028three"),
        ("half a letter \ud83d", r"half a letter \ud83d"),
    ],
)
def test_what_a_terminal_would_obey_is_shown(text: str, shown: str) -> None:
    assert printable(text) == shown


def record_with(text: str) -> dict[str, Any]:
    said = {
        "speaker": "user",
        "text": text,
        "timestamp": "2026-03-01T10:00:01.000Z",
        "end": "2026-03-01T10:00:02.000Z",
        "identity": text,
        "source": "data",
    }
    gap = {
        "from": "2026-03-01T10:00:01Z",
        "until": "2026-03-01T10:00:02Z",
        "what": "transcript",
        "reason": "x",
        "identity": text,
    }
    steps = dict.fromkeys(("present", "audible", "heard", "speech", "transcribed"), 1.0) | {"share": 1.0}
    return {
        "session_id": "1",
        "start_time": TEN,
        "end_time": TEN,
        "duration_seconds": 60,
        "mode": "video",
        "status": "completed",
        "end_reason": None,
        "counselor_category": text,
        "transcript": [said],
        "quality_metrics": {},
        "gaps": [gap],
        "coverage": {"participants": {text: steps}},
    }


def test_a_printed_record_obeys_nobody_in_it() -> None:
    out = StringIO()
    console = Console(file=out, force_terminal=True, width=400, color_system=None)
    stay = {"identity": HOSTILE, "name": HOSTILE, "role": "student", "joined_at": TEN, "left_at": TEN}
    figures = dict.fromkeys(FIGURES.split())
    reading = {"leg": "client_to_sfu", "identity": HOSTILE, "source": HOSTILE, **figures}
    print_record(console, record_with(HOSTILE), [stay], [reading])
    shown = out.getvalue()
    assert shown.count("[red]Sam[/red] [link=https://evil.example]x[/link]") >= 7
    assert r"\x1b[2J\u202e\x07\nThe record" in shown
    assert not set("\u202e\x07") & set(shown)
    assert "\x1b[2J" not in shown
    assert "\x1b]8" not in shown  # no link
    assert "The record is complete." not in [line.strip() for line in shown.splitlines()]
