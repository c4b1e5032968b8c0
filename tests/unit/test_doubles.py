"""What two recorders of one room have told is told once; what only one has told is kept."""

from dataclasses import replace

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
