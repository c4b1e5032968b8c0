"""Of what was said, how much is in the record, and where the rest went."""

from dataclasses import replace
from typing import Any

from agent.session.events import Event
from agent.session.fold import fold
from tests.unit.builders import gap, heard, info, joined, left, microphone, scored, told

PRESENT: list[Event] = [joined(0), microphone(1), left(100)]


def of_student(*events: Event) -> dict[str, Any]:
    found: dict[str, Any] = fold(info(), [*PRESENT, *events]).coverage()["participants"]["student"]
    return found


def test_who_says_nothing_has_no_share() -> None:
    assert of_student() == {
        "share": None,
        "present": 100,
        "audible": 99,
        "heard": 99,
        "speech": 0,
        "transcribed": 0,
        "missed": {},
    }


def test_everything_that_was_said_is_transcribed() -> None:
    ledger = of_student(heard(10, "Hello.", lasting=2), heard(20, "Goodbye.", lasting=3))
    assert (ledger["speech"], ledger["transcribed"], ledger["share"]) == (5, 5, 1)


def test_speech_without_words_is_examined_and_not_missed() -> None:
    ledger = of_student(heard(10, "", lasting=2))
    assert (ledger["transcribed"], ledger["share"]) == (2, 1)
    assert fold(info(), [*PRESENT, heard(10, "", lasting=2)]).transcript() == []


def test_speech_whose_words_the_speaker_sends_is_not_missed() -> None:
    ledger = of_student(told(10, "", lasting=2), told(11, "My own words."))
    assert (ledger["speech"], ledger["transcribed"]) == (2, 2)


def test_speech_that_could_not_be_transcribed_is_missed_to_its_length() -> None:
    ledger = of_student(heard(10, "Hello.", lasting=6), gap(20, 22, identity="student"))
    assert ledger["missed"] == {"transcription_unavailable": 2}
    assert (ledger["speech"], ledger["heard"], ledger["share"]) == (8, 99, 0.75)


def test_what_is_transcribed_later_is_not_missed() -> None:
    ledger = of_student(gap(20, 22, identity="student"), heard(20, "Late.", lasting=2))
    assert (ledger["missed"], ledger["share"]) == ({}, 1)


def test_time_in_which_nobody_listened_counts_as_if_it_had_been_speech() -> None:
    ledger = of_student(gap(1, 3, "recorder_joined_late", "student"), heard(10, "Hello.", lasting=6))
    assert ledger["missed"] == {"recorder_joined_late": 2}
    assert (ledger["heard"], ledger["speech"], ledger["share"]) == (97, 6, 0.75)


def test_a_gap_while_the_microphone_was_off_missed_nothing() -> None:
    ledger = of_student(
        microphone(30, on=False), gap(40, 50, "recorder_cut_off"), microphone(60), heard(70, "Hello.")
    )
    assert (ledger["audible"], ledger["missed"], ledger["share"]) == (69, {}, 1)


def test_a_gap_counts_only_where_the_microphone_was_on() -> None:
    ledger = of_student(microphone(30, on=False), gap(29, 31, "recorder_cut_off"), microphone(60))
    assert (ledger["missed"], ledger["share"]) == ({"recorder_cut_off": 1}, 0)


def test_two_gaps_over_one_moment_miss_it_once() -> None:
    ledger = of_student(gap(10, 14, "recorder_cut_off"), gap(12, 15, "recorder_error", "student"))
    assert sum(ledger["missed"].values()) == 5


def test_words_heard_within_a_gap_were_not_missed() -> None:
    ledger = of_student(gap(10, 20, "recorder_cut_off"), heard(12, "Heard all the same.", lasting=3))
    assert (ledger["missed"], ledger["transcribed"]) == ({"recorder_cut_off": 7}, 3)


def test_a_gap_of_the_whole_room_is_everybodys() -> None:
    events = [*PRESENT, joined(0, "counselor", role="counselor"), microphone(0, "counselor")]
    people = fold(info(), [*events, gap(10, 12, "recorder_cut_off")]).coverage()["participants"]
    assert {who: own["missed"] for who, own in people.items()} == {
        "student": {"recorder_cut_off": 2},
        "counselor": {"recorder_cut_off": 2},
    }


def test_a_gap_in_the_quality_readings_missed_no_words() -> None:
    assert of_student(replace(gap(10, 20, "recorder_error"), what="quality"))["missed"] == {}


def test_the_sessions_share_weighs_everyone_by_what_they_said() -> None:
    session = fold(
        info(),
        [
            *PRESENT,
            heard(10, "A long speech.", lasting=9),
            joined(0, "counselor", role="counselor"),
            microphone(0, "counselor"),
            left(100, "counselor"),
            gap(30, 31, identity="counselor"),
        ],
    )
    assert session.coverage()["share"] == 0.9


def test_who_returns_is_audible_again_when_their_new_microphone_is() -> None:
    ledger = of_student(joined(120, sid="PA_2"), left(130, sid="PA_2"))
    assert (ledger["present"], ledger["audible"]) == (110, 99)


def test_while_present_a_ledger_reaches_to_the_last_that_is_known() -> None:
    session = fold(info(), [joined(0), microphone(0), heard(10, "Hello.", lasting=2)])
    assert session.coverage()["participants"]["student"]["audible"] == 12


def test_what_is_said_while_the_connection_is_lost_reaches_nobody_and_is_a_gap() -> None:
    events = [*PRESENT, heard(10, "Hello.", lasting=2), scored(40, "lost"), scored(48, "good")]
    session = fold(info(), events)
    assert session.gaps() == [
        {
            "what": "transcript",
            "from": "2026-01-31T10:00:40.000Z",
            "until": "2026-01-31T10:00:48.000Z",
            "reason": "connection_lost",
            "identity": "student",
        }
    ]
    assert session.coverage()["participants"]["student"]["missed"] == {"connection_lost": 8}
    assert session.coverage()["share"] == 0.2
