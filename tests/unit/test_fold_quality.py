"""What a session's events say about the quality of the call."""

from typing import Any

from agent.session.events import Event
from agent.session.fold import fold
from tests.unit.builders import info, joined, left, reading, scored

UNMEASURED = {
    "average_bitrate": None,
    "average_fps": None,
    "packet_loss_percentage": None,
    "packet_loss_by_leg": {"client_to_sfu": None, "sfu_to_recorder": None},
    "post_repair_loss_percentage": None,
    "average_mos": None,
    "concealed_percentage": None,
    "freeze_count": None,
    "freeze_seconds": None,
    "connection_quality_average": "unknown",
    "total_readings": 0,
}
BOTH: list[Event] = [joined(0), joined(0, "counselor", role="counselor")]


def metrics_of(events: list[Event], *, voice: bool = False) -> dict[str, Any]:
    return fold(info(mode="voice" if voice else "video"), events).quality_metrics()


def score_of(events: list[Event]) -> Any:
    return metrics_of(events)["connection_quality_average"]


def test_what_was_never_measured_is_none_and_not_zero() -> None:
    assert metrics_of([joined(0)]) == UNMEASURED | {"participants": {"student": UNMEASURED}}


def test_everyone_has_their_own_figures_and_the_session_those_of_all() -> None:
    metrics = metrics_of(
        [
            *BOTH,
            reading(10, kbps=1000, fps=30, packets_lost=10, packets_received=90),
            reading(10, "counselor", kbps=500, fps=10, packets_lost=0, packets_received=100),
        ]
    )
    of_all = {name: metrics[name] for name in ("average_bitrate", "average_fps", "packet_loss_percentage")}
    assert of_all == {"average_bitrate": 750, "average_fps": 20, "packet_loss_percentage": 5}
    assert metrics["total_readings"] == 2
    assert metrics["participants"]["student"]["average_bitrate"] == 1000
    assert metrics["participants"]["student"]["packet_loss_percentage"] == 10
    assert metrics["participants"]["counselor"]["average_bitrate"] == 500
    assert metrics["participants"]["counselor"]["packet_loss_percentage"] == 0


def test_each_has_their_own_legs_scores_and_freezes() -> None:
    metrics = metrics_of(
        [
            *BOTH,
            reading(10, packets_lost=0, packets_lost_upstream=10, packets_received=90, freeze_count=1),
            reading(10, "counselor", source="microphone", packets_lost=5, packets_received=95, mos=3.5),
        ]
    )
    people = metrics["participants"]
    assert people["student"]["packet_loss_by_leg"] == {"client_to_sfu": 10, "sfu_to_recorder": 0}
    assert people["counselor"]["packet_loss_by_leg"] == {"client_to_sfu": None, "sfu_to_recorder": 5}
    assert (people["student"]["freeze_count"], people["counselor"]["freeze_count"]) == (1, None)
    assert (people["student"]["average_mos"], people["counselor"]["average_mos"]) == (None, 3.5)
    assert metrics["packet_loss_percentage"] == 7.5


def test_two_stays_of_one_person_have_one_set_of_figures() -> None:
    metrics = metrics_of(
        [
            joined(0, sid="PA_1"),
            reading(10, kbps=100),
            left(15, sid="PA_1"),
            joined(20, sid="PA_2"),
            reading(30, kbps=300),
        ]
    )
    assert list(metrics["participants"]) == ["student"]
    assert metrics["participants"]["student"]["average_bitrate"] == 200


def test_what_a_client_says_of_itself_is_never_mixed_with_what_we_measured() -> None:
    measured: list[Event] = [
        joined(0),
        reading(10, kbps=1000, fps=30, packets_lost=1, packets_received=99),
    ]
    claimed = reading(
        11, leg="client_to_sfu", kbps=9999, fps=1, packets_lost=9999, packets_received=1, lasting=120
    )
    assert metrics_of([*measured, claimed]) == metrics_of(measured)


def test_bitrate_and_frame_rate_are_those_of_cameras_only() -> None:
    metrics = metrics_of(
        [
            joined(0),
            reading(10, kbps=1000, fps=30),
            reading(10, source="microphone", kbps=32),
            reading(10, source="screen_share", kbps=4000, fps=5),
        ]
    )
    assert (metrics["average_bitrate"], metrics["average_fps"]) == (1000, 30)
    assert metrics["total_readings"] == 3


def test_the_bitrate_of_a_voice_session_is_that_of_microphones() -> None:
    metrics = metrics_of(
        [joined(0), reading(10, source="microphone", kbps=32), reading(10, kbps=1000, fps=30)], voice=True
    )
    assert (metrics["average_bitrate"], metrics["average_fps"]) == (32, None)


def test_packets_of_audio_and_video_count_together() -> None:
    metrics = metrics_of(
        [
            joined(0),
            reading(10, packets_lost=9, packets_received=900),
            reading(10, source="microphone", packets_lost=1, packets_received=90),
        ]
    )
    assert metrics["packet_loss_percentage"] == 1


def test_a_connection_quality_holds_until_the_next() -> None:
    assert score_of([joined(0), scored(0, "poor"), scored(10, "excellent"), left(100)]) == "excellent"
    assert score_of([joined(0), scored(0, "poor"), scored(90, "excellent"), left(100)]) == "poor"


def test_a_connection_quality_ends_with_the_leave_even_if_others_stay() -> None:
    events: list[Event] = [*BOTH, scored(0, "excellent"), scored(0, "poor", "counselor"), left(10)]
    assert score_of([*events, left(100, "counselor")]) == "poor"  # 1.27; 2.5 if it went on


def test_a_connection_quality_does_not_reach_over_an_absence() -> None:
    events: list[Event] = [
        joined(0, sid="PA_1"),
        scored(0, "excellent"),
        left(10, sid="PA_1"),
        joined(90, sid="PA_2"),
        scored(90, "poor"),
        left(100, sid="PA_2"),
    ]
    assert score_of(events) == "good"  # (10 s x 4 + 10 s x 1) / 20 s


def test_the_connection_quality_of_whoever_is_still_there_holds_until_the_last_evidence() -> None:
    assert score_of([joined(0), scored(0, "poor"), scored(10, "excellent"), reading(100)]) == "excellent"


def test_a_score_that_our_clock_puts_before_the_join_still_ends_with_the_leave() -> None:
    events: list[Event] = [*BOTH, scored(-1, "excellent"), scored(0, "poor", "counselor"), left(10)]
    assert score_of([*events, left(100, "counselor")]) == "poor"  # 1.3; 2.5 if it went on


def test_a_score_after_the_leave_counts_for_nothing() -> None:
    assert score_of([joined(0), left(10), scored(11, "poor"), reading(100)]) == "unknown"
