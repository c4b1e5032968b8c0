import json
from datetime import datetime, timedelta, timezone

import pytest

from agent.session.events import (
    KINDS,
    Event,
    GapNoted,
    ParticipantJoined,
    QualityRead,
    UtteranceHeard,
    from_row,
    iso,
    milliseconds,
    to_row,
)
from tests.unit.builders import (
    STUDENT_ID,
    at,
    ended,
    gap,
    heard,
    joined,
    left,
    microphone,
    reading,
    scored,
    told,
)

EVERYTHING_TOLD: list[Event] = [
    joined(0.001, name="Ada", user_id=STUDENT_ID),
    left(60.999),
    heard(1.25, "Où est-il ?\n\u2028“hier” 🙂", lasting=2.345, language="fr"),
    told(3, 'a "quoted" \\ word'),
    QualityRead(
        at=at(10),
        seconds=9.997,
        identity="student",
        track_sid="TR_1",
        source="camera",
        leg="sfu_to_recorder",
        bitrate_kbps=1234.567,
        fps=29.97,
        packets_lost=0,
        packets_received=1000,
        jitter_ms=0.0,
        round_trip_ms=12.5,
        width=1280,
        height=720,
    ),
    microphone(3),
    scored(5, "lost"),
    gap(1.5, 2.75, identity="student"),
    ended(61),
]
LEAST_TOLD: list[Event] = [
    joined(0),
    left(1),
    heard(1, "yes"),
    microphone(3, on=False),
    reading(10),
    scored(5, "good"),
    GapNoted(at=at(0), until=at(1), what="everything", reason="recorder_cut_off"),
    ended(61),
]


def by_way_of_the_journal(event: Event) -> Event:
    kind, moment, data = to_row(event)
    return from_row(kind, moment, json.loads(json.dumps(data)))


def test_the_examples_are_of_every_kind() -> None:
    for examples in (EVERYTHING_TOLD, LEAST_TOLD):
        assert {type(event).__name__ for event in examples} == KINDS.keys()


@pytest.mark.parametrize("event", EVERYTHING_TOLD + LEAST_TOLD, ids=lambda e: type(e).__name__)
def test_an_event_comes_back_from_the_journal_as_it_was(event: Event) -> None:
    assert by_way_of_the_journal(event) == event


def test_what_was_not_told_takes_no_room_in_the_journal() -> None:
    _, _, data = to_row(reading(10))
    assert data.keys() == {"seconds", "identity", "track_sid", "source", "leg", "bitrate_kbps"}


def test_zero_is_not_taken_for_untold() -> None:
    event = by_way_of_the_journal(reading(10, fps=0.0, packets_lost=0, packets_received=0))
    assert isinstance(event, QualityRead)
    assert (event.fps, event.packets_lost, event.packets_received) == (0.0, 0, 0)


def test_the_time_is_a_column_of_its_own_and_not_in_the_data() -> None:
    kind, moment, data = to_row(left(7))
    assert (kind, moment) == ("ParticipantLeft", at(7))
    assert "at" not in data


def test_the_ends_of_utterances_and_gaps_are_written_as_text_in_utc() -> None:
    assert to_row(heard(1, "yes", lasting=0.5))[2]["end"] == "2026-01-31T10:00:01.500Z"
    assert to_row(gap(1, 2.25))[2]["until"] == "2026-01-31T10:00:02.250Z"


def test_a_field_of_a_later_version_is_ignored() -> None:
    kind, moment, data = to_row(joined(0))
    assert from_row(kind, moment, data | {"shoe_size": 43}) == joined(0)


def test_a_kind_of_a_later_version_is_a_key_error() -> None:
    with pytest.raises(KeyError):
        from_row("ParticipantYawned", at(0), {})


def test_a_field_that_must_be_there_is_not_made_up() -> None:
    with pytest.raises(TypeError):
        from_row("ParticipantLeft", at(0), {"identity": "student"})


def test_equal_events_are_one_in_a_set_and_different_ones_two() -> None:
    same: set[Event] = {joined(0), joined(0), by_way_of_the_journal(joined(0))}
    assert len(same) == 1
    assert len({heard(1, "yes"), told(1, "yes", lasting=1.0)}) == 2


def test_events_cannot_be_changed() -> None:
    event: ParticipantJoined = joined(0)
    with pytest.raises(AttributeError):
        event.name = "Mallory"  # type: ignore[misc]


def test_times_are_written_in_utc_to_the_millisecond() -> None:
    in_delhi = timezone(timedelta(hours=5, minutes=30))
    assert iso(datetime(2026, 1, 31, 15, 50, 30, 123_999, tzinfo=in_delhi)) == "2026-01-31T10:20:30.123Z"
    assert iso(at(0)) == "2026-01-31T10:00:00.000Z"


def test_a_moment_cut_to_milliseconds_survives_the_journal() -> None:
    moment = at(0) + timedelta(microseconds=1_999)
    assert milliseconds(moment) == at(0.001)
    event = UtteranceHeard(
        at=milliseconds(moment), end=milliseconds(moment), identity="a", text="yes", source="data"
    )
    assert by_way_of_the_journal(event) == event
