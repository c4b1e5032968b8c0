import pytest

from agent.utterances import RATE, StreamClock

FRAME = RATE // 10  # samples in a tenth of a second


class Arrivals:
    """Frames of 100 ms of a stream that began at second 1000, delayed as a test says."""

    def __init__(self) -> None:
        self.clock = StreamClock()
        self.samples = 0

    def frame(self, *, at: float) -> "Arrivals":
        self.samples += FRAME
        self.clock.frame_arrived(self.samples, 1000 + at)
        return self

    def heard_at(self, seconds_of_audio: float) -> float:
        return self.clock.time_of(round(seconds_of_audio * RATE)) - 1000


def test_a_frame_ends_when_it_arrives() -> None:
    arrivals = Arrivals().frame(at=0.1)
    assert arrivals.heard_at(0) == pytest.approx(0)
    assert arrivals.heard_at(0.1) == pytest.approx(0.1)


def test_a_sample_that_is_still_to_come_has_its_time_too() -> None:
    assert Arrivals().frame(at=0.1).heard_at(60) == pytest.approx(60)


def test_a_delayed_frame_changes_nothing() -> None:
    arrivals = Arrivals().frame(at=0.1).frame(at=0.7).frame(at=1.2)
    assert arrivals.heard_at(0.3) == pytest.approx(0.3)


def test_the_least_delayed_frame_tells_best() -> None:
    arrivals = Arrivals().frame(at=0.5).frame(at=0.45).frame(at=0.32).frame(at=0.9)
    assert arrivals.heard_at(0.3) == pytest.approx(0.32)


def test_a_stream_that_stood_still_goes_on_later() -> None:
    arrivals = Arrivals().frame(at=0.1).frame(at=0.2).frame(at=5.3)
    assert arrivals.heard_at(0.3) == pytest.approx(5.3)


def test_a_stall_of_less_than_a_second_is_mere_delay() -> None:
    arrivals = Arrivals().frame(at=0.1).frame(at=1.1)
    assert arrivals.heard_at(0.2) == pytest.approx(0.2)


def test_frames_that_were_held_back_and_come_in_a_burst_bring_the_clock_back() -> None:
    arrivals = Arrivals().frame(at=0.1)
    for _ in range(30):  # 3 s of audio at once
        arrivals.frame(at=3.1)
    assert arrivals.heard_at(3.1) == pytest.approx(3.1)


def test_two_stalls_add_up() -> None:
    arrivals = Arrivals().frame(at=0.1).frame(at=2.2).frame(at=2.3).frame(at=5.4)
    assert arrivals.heard_at(0.4) == pytest.approx(5.4)


def test_before_the_first_frame_there_is_no_time() -> None:
    with pytest.raises(AssertionError, match="no frame"):
        StreamClock().time_of(0)
