from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

import pytest

from agent.session.connection import QualityState
from agent.session.counters import AudioCounters, InboundCounters, VideoCounters
from agent.session.events import ConnectionQuality
from agent.session.intervals import Interval, between
from agent.session.metrics import (
    averages,
    connection_quality_in_words,
    loss_percentage,
    weighted_mean,
)
from agent.session.perceived import one_way_delay
from agent.session.voice_quality import mean_opinion_score
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
            video=VideoCounters(frames_received=self.frames_received),
        )


def test_pictures_held_up_behind_the_first_one_do_not_count_as_their_usual_pace() -> None:
    track = Subscription()
    first = track.read()
    track.wait(0.5)
    track.receive(40, frames=17)  # 15, and two that waited behind the key frame
    steady = track.read()
    track.wait(2)
    track.receive(100, frames=60)
    interval = between(first, track.read(), steady=steady)
    assert interval is not None
    assert interval.fps == 30
    assert interval.seconds == 2.5
    assert interval.packets_received == 140
    restarted = between(first, steady, steady=steady)
    assert restarted is not None
    assert restarted.fps is None


def test_frames_that_come_steadily_are_counted_by_the_time_between_them_and_not_by_when_we_look() -> None:
    def looked_at(timestamp: float, frames: int, last_frame_at: float) -> InboundCounters:
        video = VideoCounters(frames_received=frames, frames_decoded=frames, frame_delay=last_frame_at)
        return InboundCounters(
            timestamp=timestamp, bytes_received=0, packets_received=0, packets_lost=0, video=video
        )

    def fps(first: InboundCounters, last: InboundCounters) -> float | None:
        interval = between(first, last)
        assert interval is not None
        return interval.fps

    # 30 a second: 46 of them between looks that are 1.5 s apart, from just before one to just after one
    just_before, just_after = looked_at(1.032, 30, 1.0), looked_at(2.534, 76, 2.0 + 16 / 30)
    assert fps(just_before, just_after) == pytest.approx(30)
    # the picture stands still from 2.0 on
    assert fps(looked_at(1.0, 30, 1.0), looked_at(2.5, 60, 2.0)) == pytest.approx(30 / 1.5)


def test_a_camera_of_which_nothing_was_sent_for_a_while_did_not_freeze() -> None:
    def shown(timestamp: float, frames: int, *, freezes: int, delay: float) -> InboundCounters:
        video = VideoCounters(
            frames_received=frames, frames_decoded=frames, freeze_count=freezes, frame_delay=delay
        )
        return InboundCounters(
            timestamp=timestamp, bytes_received=0, packets_received=0, packets_lost=0, video=video
        )

    resting = shown(1000, 90, freezes=0, delay=3.0)
    steady = shown(1000.5, 106, freezes=1, delay=11.5)
    later = shown(1001.5, 136, freezes=1, delay=12.5)
    interval = between(resting, later, steady=steady, resumed=True)
    assert interval is not None
    assert (interval.fps, interval.freeze_count, interval.freeze_seconds) == (30, 0, 0)
    cut_short = between(resting, steady, resumed=True)
    assert cut_short is not None
    assert (cut_short.freeze_count, cut_short.freeze_seconds) == (None, None)


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
        seconds=10,
        bitrate_kbps=800,
        fps=30,
        packets_lost=5,
        packets_received=1000,
        freeze_count=0,
        freeze_seconds=0,
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
        seconds=10,
        bitrate_kbps=0,
        fps=0,
        packets_lost=0,
        packets_received=0,
        freeze_count=0,
        freeze_seconds=0,
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


def camera(
    seconds: float, *, delays: Sequence[float] = (), freezes: int = 0, received: int = 0
) -> InboundCounters:
    """Counters after frames with these delays between them."""
    return InboundCounters(
        timestamp=seconds,
        bytes_received=0,
        packets_received=0,
        packets_lost=0,
        video=VideoCounters(
            frames_received=received,
            frames_decoded=len(delays),
            freeze_count=freezes,
            frame_delay=sum(delays),
            squared_frame_delay=sum(delay**2 for delay in delays),
        ),
    )


def test_frames_that_a_retransmission_completed_together_all_count() -> None:
    interval = between(camera(0), camera(10, delays=[1 / 15] * 150, received=120))
    assert interval is not None
    assert interval.fps == 15


def test_frames_that_a_busy_machine_did_not_decode_count() -> None:
    interval = between(camera(0), camera(10, delays=[1 / 15] * 90, received=150))
    assert interval is not None
    assert interval.fps == 15


@pytest.mark.parametrize("freezes", [1, 3])
def test_how_long_the_picture_stood_still_comes_from_the_spread_of_the_delays(freezes: int) -> None:
    interval = between(camera(0), camera(10, delays=[1 / 15] * 100 + [0.8] * freezes, freezes=freezes))
    assert interval is not None
    assert interval.freeze_count == freezes
    assert interval.freeze_seconds == pytest.approx(0.8 * freezes, rel=0.001)


def test_uneven_frames_without_a_freeze_are_none() -> None:
    interval = between(camera(0), camera(10, delays=[0.03, 0.1] * 70))
    assert interval is not None
    assert (interval.freeze_count, interval.freeze_seconds) == (0, 0)


def microphone(
    seconds: float, *, samples: int = 0, concealed: int = 0, packets: int = 0, waited: float = 0
) -> InboundCounters:
    return InboundCounters(
        timestamp=seconds,
        bytes_received=0,
        packets_received=packets,
        packets_lost=0,
        audio=AudioCounters(
            samples_received=samples,
            concealed_samples=concealed,
            jitter_buffer_delay=waited * samples,
            jitter_buffer_emitted=samples,
        ),
    )


def test_the_share_of_invented_sound() -> None:
    interval = between(microphone(0), microphone(10, samples=480_000, concealed=24_000, packets=500))
    assert interval is not None
    assert interval.concealed_percentage == 5
    assert interval.mos == pytest.approx(mean_opinion_score(loss=5, delay_ms=0))


def test_what_was_invented_while_someone_spoke_is_not_diluted_by_their_pauses() -> None:
    silent_half = between(microphone(0), microphone(10, samples=480_000, concealed=12_000, packets=250))
    assert silent_half is not None
    assert silent_half.concealed_percentage == 2.5
    assert silent_half.mos == pytest.approx(mean_opinion_score(loss=5, delay_ms=0), abs=0.03)


def silent_hole(*, concealed: int, silent: int, packets: int) -> Interval:
    later = microphone(10, samples=480_000, concealed=concealed, packets=packets)
    assert later.audio is not None
    audio = replace(later.audio, silent_concealed_samples=silent)
    interval = between(microphone(0), replace(later, audio=audio))
    assert interval is not None
    return interval


def test_a_hole_that_fades_to_silence_is_concealed_sound_whatever_was_seen_of_it() -> None:
    interval = silent_hole(concealed=96_000, silent=88_000, packets=400)
    assert interval.concealed_percentage == 20
    assert interval.mos == pytest.approx(mean_opinion_score(loss=20, delay_ms=0))


def test_sound_that_only_came_late_is_no_hole() -> None:
    assert silent_hole(concealed=96_000, silent=88_000, packets=500).concealed_percentage == pytest.approx(
        8 / 4.8
    )


def test_who_stops_sending_for_long_loses_nothing() -> None:
    later = microphone(30, samples=1_440_000, concealed=1_000_000, packets=400)
    assert later.audio is not None
    audio = replace(later.audio, silent_concealed_samples=999_000)
    interval = between(microphone(0), replace(later, audio=audio))
    assert interval is not None
    assert interval.concealed_percentage == pytest.approx(100 * 1000 / 1_440_000)


def test_sound_that_waits_long_scores_lower() -> None:
    scores = [
        interval.mos
        for waited in (0.02, 0.3)
        if (interval := between(microphone(0), microphone(10, samples=480_000, packets=500, waited=waited)))
    ]
    assert scores == [
        pytest.approx(mean_opinion_score(loss=0, delay_ms=20)),
        pytest.approx(mean_opinion_score(loss=0, delay_ms=300)),
    ]


def test_without_sound_there_is_nothing_to_score() -> None:
    interval = between(microphone(0), microphone(10))
    assert interval is not None
    assert (interval.concealed_percentage, interval.mos) == (None, None)


def test_loss_is_told_by_leg_and_as_a_whole() -> None:
    figures = averages(
        [
            reading(
                10, packets_lost=45, packets_received=855, packets_lost_upstream=100, packets_repaired=40
            ),
            reading(20, packets_lost=0, packets_received=0),
        ],
        [],
        "video",
    )
    assert figures["packet_loss_by_leg"] == {"client_to_sfu": 10, "sfu_to_recorder": 5}
    assert figures["packet_loss_percentage"] == 14.5
    assert figures["post_repair_loss_percentage"] == 10.5


def test_a_leg_that_no_reading_told_apart_is_unknown() -> None:
    figures = averages([reading(10, packets_lost=5, packets_received=95)], [], "video")
    assert figures["packet_loss_by_leg"] == {"client_to_sfu": None, "sfu_to_recorder": 5}
    assert figures["packet_loss_percentage"] == 5


def test_scores_are_weighted_by_packets_and_concealment_by_time() -> None:
    figures = averages(
        [
            reading(
                10, source="microphone", packets_lost=10, packets_received=490, mos=3, concealed_percentage=6
            ),
            reading(
                20, source="microphone", packets_lost=0, packets_received=50, mos=4.4, concealed_percentage=0
            ),
        ],
        [],
        "video",
    )
    assert figures["average_mos"] == 3.127
    assert figures["concealed_percentage"] == 3


def test_freezes_are_added_up() -> None:
    figures = averages(
        [reading(10, freeze_count=2, freeze_seconds=1.5), reading(20, freeze_count=1, freeze_seconds=0.25)],
        [],
        "video",
    )
    assert (figures["freeze_count"], figures["freeze_seconds"]) == (3, 1.75)


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
    assert weighted_mean([(1000, 30), (200, 10)]) == 800


def test_a_mean_over_no_time_is_unknown() -> None:
    assert weighted_mean([]) is None
    assert weighted_mean([(1000, 0)]) is None


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


def listening(
    seconds: float, *, waited: float, emitted: int, round_trip: float | None = None
) -> InboundCounters:
    """Counters of sound that waited so long in all in the jitter buffer, over so many samples."""
    audio = AudioCounters(
        samples_received=emitted,
        concealed_samples=0,
        silent_concealed_samples=0,
        jitter_buffer_delay=waited,
        jitter_buffer_emitted=emitted,
    )
    return InboundCounters(
        timestamp=seconds,
        bytes_received=0,
        packets_received=1,
        packets_lost=0,
        audio=audio,
        round_trip_time=round_trip,
    )


def test_sound_is_late_by_half_the_round_trip_and_its_wait_in_the_jitter_buffer() -> None:
    earlier = listening(0, waited=1000, emitted=48_000)
    later = listening(3, waited=1000 + 0.08 * 144_000, emitted=192_000, round_trip=0.1)
    assert one_way_delay(earlier, later) == pytest.approx(0.13)


def test_how_late_sound_is_cannot_be_said_while_none_is_heard() -> None:
    silent = listening(0, waited=0, emitted=0)
    assert one_way_delay(silent, silent) is None
