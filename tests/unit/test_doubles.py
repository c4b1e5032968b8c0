"""What two recorders of one room have told is told once; what only one has told is kept."""

from dataclasses import replace
from time import perf_counter

import pytest

from agent.session.doubles import without_doubles
from agent.session.events import Event, UtteranceHeard
from tests.unit.builders import at, heard, joined, left, reading, told

THEIRS: list[Event] = [joined(0), heard(1, "And so on.", lasting=2), told(5, "Yes."), reading(10), left(20)]


def test_what_another_recorder_told_in_its_own_way_is_told_once() -> None:
    a_little_later: list[Event] = [heard(1.004, "And so on", lasting=2), told(5.1, "Yes."), reading(10.3)]
    assert without_doubles(a_little_later, THEIRS) == []


@pytest.mark.parametrize(
    "event",
    [
        heard(3.1, "And more."),
        heard(1, "And so on.", "counselor", lasting=2),
        heard(1, "And so on.", lasting=2, track="screen_share_audio"),
        told(5, "No."),
        told(5.6, "Yes."),
        told(5, "Yes.", "counselor"),
        reading(20),
        reading(10, source="microphone"),
        left(20.1),
    ],
    ids=lambda event: type(event).__name__,
)
def test_what_only_one_has_told_is_kept(event: Event) -> None:
    assert without_doubles([event], THEIRS) == [event]


def test_speech_whose_words_the_speaker_sends_is_told_once() -> None:
    spoken = UtteranceHeard(at=at(30), end=at(33), identity="student", text="", source="data")
    assert without_doubles([replace(spoken, at=at(30.1))], [*THEIRS, spoken]) == []


def test_speech_of_an_agent_is_not_taken_for_words_that_came_meanwhile() -> None:
    spoken = UtteranceHeard(at=at(5), end=at(6), identity="student", text="", source="data")
    assert without_doubles([spoken], [told(5, "Yes.", lasting=1)]) == [spoken]


def test_of_much_that_was_told_the_like_is_soon_found() -> None:
    known: list[Event] = [heard(3 * n, "Words.", lasting=2) for n in range(10_000)]
    known += [told(0.25 * n, "Yes.", lasting=900) for n in range(10_000)]
    later: list[Event] = [heard(40_000 + 3 * n, "Words.", lasting=2) for n in range(10_000)]
    later += [told(40_000 + 0.25 * n, "Yes.", lasting=900) for n in range(10_000)]
    began = perf_counter()
    assert without_doubles([*known[::50], *later], known) == later
    assert perf_counter() - began < 5
