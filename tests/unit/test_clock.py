"""The recorder's clock beside a machine's clock that somebody sets."""

import pytest
from structlog.testing import capture_logs

from agent.clock import SteadyClock


class Machine:
    """Seconds since start, and the time of day that it shows."""

    def __init__(self) -> None:
        self.up, self.error = 1000.0, 0.0

    def wall(self) -> float:
        return 1_800_000_000 + self.up + self.error

    def even(self) -> float:
        return self.up


@pytest.mark.parametrize("step", [-3600.0, -0.5, 0.5, 3600.0])
def test_a_step_is_told_once_and_not_taken(step: float) -> None:
    machine = Machine()
    clock = SteadyClock(machine.wall, machine.even)
    began = clock.time()
    machine.up += 10
    machine.error = step
    with capture_logs() as logged:
        assert clock.time() - began == pytest.approx(10)
        machine.up += 10
        assert clock.time() - began == pytest.approx(20)
    assert [(line["event"], line["by_seconds"]) for line in logged] == [("clock_stepped", step)]


def test_a_slow_correction_is_followed() -> None:
    machine = Machine()
    clock = SteadyClock(machine.wall, machine.even)
    for _ in range(600):
        machine.up += 10
        machine.error += 0.004
        clock.time()
    assert abs(clock.time() - machine.wall()) < 0.01


def test_after_hours_without_a_look_a_slow_correction_is_none_the_less_slow() -> None:
    machine = Machine()
    clock = SteadyClock(machine.wall, machine.even)
    machine.up += 4 * 3600
    machine.error += 5
    with capture_logs() as logged:
        assert abs(clock.time() - machine.wall()) < 0.01
    assert not logged


def test_a_clock_that_is_set_again_shows_the_machines_time() -> None:
    machine = Machine()
    clock = SteadyClock(machine.wall, machine.even)
    machine.error = 3600
    clock.time()
    clock.set()
    assert abs(clock.time() - machine.wall()) < 0.01
