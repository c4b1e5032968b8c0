from collections.abc import Sequence
from datetime import timedelta

import pytest

from agent.session.events import ConnectionQuality
from agent.session.metrics import (
    InboundCounters,
    Interval,
    QualityState,
    averages,
    between,
    connection_quality_in_words,
    loss_percentage,
    time_weighted_mean,
)
from tests.unit.builders import TEN_O_CLOCK, at, reading


class Subscription:
    """Counters as a receiver keeps them."""

    def __init__(self) -> None:
        self.timestamp = 1000.0
        self.packets_received = 0
        self.packets_lost = 0
        self.bytes_received = 0
        self.frames_received = 0

    def receive(self, packets: int, *, size: int = 1000, frames: int = 0) -> None:
        self.packets_received += packets
        self.bytes_received += packets * size
        self.frames_received += frames

    def lose(self, packets: int) -> None:
        self.packets_lost += packets

    def receive_late(self, packets: int, *, size: int = 1000) -> None:
        self.packets_lost -= packets
        self.receive(packets, size=size)

    def wait(self, seconds: float) -> None:
        self.timestamp += seconds

    def read(self) -> InboundCounters:
        return InboundCounters(
            timestamp=self.timestamp,
            bytes_received=self.bytes_received,
            packets_received=self.packets_received,
            packets_lost=self.packets_lost,
            frames_received=self.frames_received,
        )


def test_an_interval_is_what_passed_between_two_readings() -> None:
    track = Subscription()
    track.receive(5000, frames=900)
    track.lose(70)
    earlier = track.read()

    # receive 1000 packets of 1000 bytes and 300 frames, lose 5, in 10 s
    track.receive(1000, size=1000, frames=300)
    track.lose(5)
    track.wait(10)
    assert between(earlier, track.read()) == Interval(
        seconds=10, bitrate_kbps=800, fps=30, packets_lost=5, packets_received=1000
    )


def test_a_late_packet_that_comes_back_is_no_loss_below_zero() -> None:
    track = Subscription()
    first = track.read()

    # receive 100, lose 5
    track.receive(100)
    track.lose(5)
    track.wait(10)
    second = track.read()
    interval = between(first, second)
    assert interval is not None
    assert (interval.packets_received, interval.packets_lost) == (100, 5)

    # one of the five comes after all, with 100 others
    track.receive_late(1)
    track.receive(100)
    track.wait(10)
    interval = between(second, track.read())
    assert interval is not None
    assert (interval.packets_received, interval.packets_lost) == (101, 0)


def test_a_late_packet_and_a_lost_one_are_not_two_lost_ones() -> None:
    track = Subscription()
    first = track.read()

    # lose 5, then one of them comes after all, then lose another
    track.receive(100)
    track.lose(5)
    track.wait(10)
    second = track.read()
    track.receive_late(1)
    track.wait(10)
    third = track.read().after(second)
    track.lose(1)
    track.wait(10)
    intervals = [between(first, second), between(second, third), between(third, track.read())]
    assert [interval.packets_lost for interval in intervals if interval] == [5, 0, 0]


def test_duplicates_that_make_the_count_of_lost_packets_negative_are_no_loss() -> None:
    track = Subscription()
    first = track.read()
    track.receive(100)
    track.lose(-3)
    track.wait(10)
    interval = between(first, track.read())
    assert interval is not None
    assert interval.packets_lost == 0


def test_counters_that_restart_make_no_interval() -> None:
    before, after = Subscription(), Subscription()
    before.receive(100)
    after.wait(10)
    after.receive(20)
    assert between(before.read(), after.read()) is None


def test_bytes_that_restart_alone_make_no_interval() -> None:
    before, after = Subscription(), Subscription()
    before.receive(100, size=1000)
    after.receive(100, size=10)
    after.wait(10)
    assert between(before.read(), after.read()) is None


def test_packets_that_restart_alone_make_no_interval() -> None:
    before, after = Subscription(), Subscription()
    before.receive(100, size=10)
    after.receive(20, size=1000)
    after.wait(10)
    assert between(before.read(), after.read()) is None


def test_no_interval_without_time() -> None:
    track = Subscription()
    earlier = track.read()
    track.receive(100)
    assert between(earlier, track.read()) is None
    track.wait(-1)
    assert between(earlier, track.read()) is None


def test_a_silent_interval_is_one_of_zeros() -> None:
    track = Subscription()
    earlier = track.read()
    track.wait(10)
    assert between(earlier, track.read()) == Interval(
        seconds=10, bitrate_kbps=0, fps=0, packets_lost=0, packets_received=0
    )


def test_audio_has_no_frame_rate() -> None:
    def audio(timestamp: float) -> InboundCounters:
        return InboundCounters(timestamp=timestamp, bytes_received=0, packets_received=0, packets_lost=0)

    interval = between(audio(0), audio(10))
    assert interval is not None
    assert interval.fps is None


def test_frames_that_restart_are_no_frame_rate_below_zero() -> None:
    track = Subscription()
    track.receive(100, frames=300)
    earlier = track.read()
    track.frames_received = 0
    track.wait(10)
    interval = between(earlier, track.read())
    assert interval is not None
    assert interval.fps == 0


def test_loss_is_the_share_of_all_packets_not_the_mean_of_shares() -> None:
    readings = [
        reading(10, packets_lost=50, packets_received=50),
        reading(20, packets_lost=0, packets_received=900),
    ]
    assert loss_percentage(readings) == 5


def test_loss_is_unknown_when_no_packet_was_counted() -> None:
    assert loss_percentage([]) is None
    assert loss_percentage([reading(10)]) is None
    assert loss_percentage([reading(10, packets_lost=0, packets_received=0)]) is None


def test_a_reading_with_half_of_its_counters_does_not_count() -> None:
    readings = [reading(10, packets_lost=50), reading(20, packets_lost=1, packets_received=99)]
    assert loss_percentage(readings) == 1


def test_all_packets_can_be_lost() -> None:
    assert loss_percentage([reading(10, packets_lost=7, packets_received=0)]) == 100


def test_a_mean_is_weighted_by_time() -> None:
    assert time_weighted_mean([(1000, 30), (200, 10)]) == 800


def test_a_mean_over_no_time_is_unknown() -> None:
    assert time_weighted_mean([]) is None
    assert time_weighted_mean([(1000, 0)]) is None


def test_averages_weigh_each_reading_by_its_seconds() -> None:
    figures = averages(
        [reading(10, lasting=10, kbps=1000, fps=30), reading(12, lasting=2, kbps=400, fps=0)], [], "video"
    )
    assert figures["average_bitrate"] == 900
    assert figures["average_fps"] == 25


def test_a_frame_rate_that_was_not_told_does_not_count_as_zero() -> None:
    assert averages([reading(10, fps=30), reading(20)], [], "video")["average_fps"] == 30


def test_figures_are_rounded_to_three_places() -> None:
    figures = averages([reading(10, kbps=1000 / 3, packets_lost=1, packets_received=2)], [], "video")
    assert (figures["average_bitrate"], figures["packet_loss_percentage"]) == (333.333, 33.333)


def states(*qualities: tuple[ConnectionQuality, float]) -> list[QualityState]:
    """One after the other, each for so many seconds."""
    begin, told = TEN_O_CLOCK, []
    for quality, seconds in qualities:
        told.append(QualityState(quality, begin, begin + timedelta(seconds=seconds)))
        begin += timedelta(seconds=seconds)
    return told


@pytest.mark.parametrize(
    ("qualities", "word"),
    [
        ([("excellent", 10)], "excellent"),
        ([("good", 10)], "good"),
        ([("poor", 10)], "poor"),
        ([("lost", 10)], "poor"),
        ([("excellent", 50), ("good", 50)], "excellent"),  # 3.5
        ([("excellent", 49.9), ("good", 50.1)], "good"),
        ([("good", 75), ("poor", 25)], "good"),  # 2.5
        ([("good", 74.9), ("poor", 25.1)], "fair"),
        ([("good", 50), ("lost", 50)], "fair"),  # 1.5
        ([("good", 49.9), ("lost", 50.1)], "poor"),
        ([("lost", 0), ("excellent", 10)], "excellent"),
    ],
)
def test_connection_quality_in_words(qualities: Sequence[tuple[ConnectionQuality, float]], word: str) -> None:
    assert connection_quality_in_words(states(*qualities)) == word


def test_no_time_in_any_state_is_an_unknown_connection_quality() -> None:
    assert connection_quality_in_words([]) == "unknown"
    assert connection_quality_in_words([QualityState("good", at(0), at(0))]) == "unknown"


def test_an_average_exactly_on_a_threshold_reaches_it_whatever_the_duration() -> None:
    for ms in range(1, 10_000, 7):
        s = ms / 1000
        assert connection_quality_in_words(states(("excellent", s), ("good", s))) == "excellent", s
        assert connection_quality_in_words(states(("good", 3 * s), ("poor", s))) == "good", s
        assert connection_quality_in_words(states(("good", s), ("lost", s))) == "fair", s
