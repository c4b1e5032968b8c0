"""How often something may be done that takes long."""

import asyncio
from contextlib import suppress

import pytest

from agent.pace import Pace


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The loop's own clock goes on behind it."""
    now = [100.0]

    class Loop:
        def time(self) -> float:
            return now[0]

    monkeypatch.setattr(asyncio, "get_running_loop", Loop)
    return now


def test_it_is_done_at_once_then_a_second_later(clock: list[float]) -> None:
    pace = Pace()
    assert pace.seconds_to_wait == 0
    with pace.doing():
        clock[0] += 0.01
    assert pace.seconds_to_wait == pytest.approx(1)
    clock[0] += 1
    assert pace.seconds_to_wait == 0


def test_what_takes_long_is_done_for_a_tenth_of_the_time_also_where_it_fails(clock: list[float]) -> None:
    pace = Pace()
    with suppress(ValueError), pace.doing():
        clock[0] += 3
        raise ValueError
    assert pace.seconds_to_wait == pytest.approx(30)
