"""Of what was said, how much is in the record, and where the rest went."""

from dataclasses import replace
from time import perf_counter
from typing import Any

import pytest

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


def test_words_that_claim_more_time_than_anybody_was_there_cover_nothing() -> None:
    ledger = of_student(told(-45, "My own words.", lasting=62))
    assert (ledger["present"], ledger["speech"], ledger["transcribed"], ledger["share"]) == (100, 0, 0, None)


def test_what_was_heard_outside_of_every_stay_is_not_counted() -> None:
    ledger = of_student(heard(97, "Goodbye, and thanks.", lasting=9))
    assert (ledger["present"], ledger["audible"], ledger["transcribed"]) == (100, 99, 3)


def test_speech_of_which_the_speaker_sent_no_words_is_a_gap() -> None:
    spoken = [
        told(10, "", lasting=2),
        told(12, "My own words."),
        *(told(50 + n, "", lasting=4) for n in (0, 5)),
    ]
    session = fold(info(), [*PRESENT, *spoken])
    ledger = session.coverage()["participants"]["student"]
    assert (ledger["transcribed"], ledger["speech"]) == (2, 10)
    assert ledger["missed"] == {"own_words_missing": 8}
    assert ledger["share"] == 0.2
    assert [(g["reason"], g["from"][17:23], g["until"][17:23]) for g in session.gaps()] == [
        ("own_words_missing", "50.000", "54.000"),
        ("own_words_missing", "55.000", "59.000"),
    ]


def test_speech_without_own_words_that_whisper_heard_after_all_is_no_gap() -> None:
    session = fold(info(), [*PRESENT, told(50, "", lasting=4), heard(50, "Heard after all.", lasting=4)])
    assert session.gaps() == []
    assert session.coverage()["share"] == 1


def test_a_gap_that_was_noted_for_missing_own_words_is_told_once() -> None:
    noted = gap(50, 54, "own_words_missing", "student")
    session = fold(info(), [*PRESENT, told(50, "", lasting=4), noted])
    assert len(session.gaps()) == 1
    assert session.coverage()["participants"]["student"]["missed"] == {"own_words_missing": 4}


def test_a_persons_own_words_account_for_none_of_their_speech() -> None:
    own = replace(told(12, "My own words."), told="person")
    assert of_student(told(10, "", lasting=2), own)["missed"] == {"own_words_missing": 2}


def test_gaps_tell_of_as_much_missing_speech_as_coverage_does() -> None:
    """Words that came late, cut elsewhere, leave the rest."""
    session = fold(info(), [*PRESENT, gap(20, 24, identity="student"), heard(21, "Late.", lasting=2)])
    assert [(g["from"][17:19], g["until"][17:19]) for g in session.gaps()] == [("20", "21"), ("23", "24")]
    assert session.coverage()["participants"]["student"]["missed"] == {"transcription_unavailable": 2}


def test_what_was_played_and_has_no_words_is_none_of_its_owners_speech() -> None:
    played = replace(gap(20, 24, identity="student"), track="screen_share_audio")
    session = fold(info(), [*PRESENT, played, heard(20, "Meanwhile.", lasting=4)])
    assert [g["track"] for g in session.gaps()] == ["screen_share_audio"]
    assert session.coverage()["share"] == 1
    come = heard(20, "A film.", lasting=4, track="screen_share_audio")
    assert fold(info(), [*PRESENT, played, come]).gaps() == []


def test_a_share_is_one_only_where_nothing_is_missed() -> None:
    session = fold(info(), [joined(0), left(90_000), heard(1, "Long.", lasting=80_000), gap(85_000, 85_001)])
    assert session.coverage()["share"] == 0.9999


@pytest.mark.parametrize(("until", "missed"), [(60, 50), (11, 1)], ids=["many messages", "one message"])
def test_own_words_that_were_refused_are_missed_of_whom_nobody_could_hear(until: int, missed: int) -> None:
    refused = gap(10, until, "own_words_refused", "guest")
    guest: list[Event] = [joined(0, "guest", sid="PA_g"), left(100, "guest", sid="PA_g"), refused]
    coverage = fold(info(), [*PRESENT, heard(10, "Hello.", lasting=50), *guest]).coverage()
    ledger = coverage["participants"]["guest"]
    assert (ledger["missed"], ledger["share"]) == ({"own_words_refused": missed}, 0)
    assert (ledger["audible"], ledger["heard"]) == (missed, 0)
    assert coverage["share"] < 1


def test_own_words_that_were_refused_of_whom_everybody_heard_miss_nothing() -> None:
    ledger = of_student(heard(10, "Hello.", lasting=5), gap(12, 12, "own_words_refused", "student"))
    assert (ledger["missed"], ledger["share"]) == ({}, 1)


def test_which_gap_is_blamed_does_not_depend_on_which_came_first() -> None:
    gaps = [gap(10, 14, "recorder_cut_off"), gap(12, 15, "recorder_error", "student")]
    assert of_student(*gaps) == of_student(*reversed(gaps))


def test_many_rejoins_take_no_long_time() -> None:
    def events(rejoins: int) -> list[Event]:
        stays = range(0, 10 * rejoins, 10)
        comings: list[Event] = [
            e for n in stays for e in (joined(n, sid=f"PA_{n}"), left(n + 9, sid=f"PA_{n}"))
        ]
        sounds: list[Event] = [
            e for n in stays for e in (microphone(n + 0.2), gap(n + 0.2, n + 0.4, "subscribing"))
        ]
        return [*comings, *sounds, *(heard(n + 1, "Hello.") for n in stays)]

    session = fold(info(), events(20_000))
    began = perf_counter()
    assert session.coverage()["participants"]["student"]["present"] == 180_000
    assert perf_counter() - began < 10
