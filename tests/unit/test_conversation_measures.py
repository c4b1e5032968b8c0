"""What coaches ask of a conversation, on conversations short enough to do in one's head."""

from typing import Any

from agent.session.conversation import measures
from agent.session.fold import fold
from tests.unit.builders import at, heard, info, joined, told


def of(*events: Any) -> dict[str, Any]:
    session = fold(info(), [joined(0, "student"), joined(0, "counselor", role="counselor"), *events])
    return measures(session.transcript())


def test_nobody_said_anything() -> None:
    assert of() == {"turns": 0, "silence_percentage": None, "participants": {}}


def test_talk_share_is_of_the_time_in_which_somebody_spoke() -> None:
    found = of(heard(0, "one two three", lasting=6), heard(10, "four", "counselor", lasting=2))
    assert found["participants"]["student"]["talk_share"] == 0.75
    assert found["participants"]["counselor"]["talk_share"] == 0.25
    assert found["participants"]["student"]["words_per_minute"] == 30
    assert found["silence_percentage"] == 33.3  # 4 of 12 s


def test_sentences_with_short_pauses_are_one_turn_and_its_length_has_the_pauses() -> None:
    found = of(heard(0, "a", lasting=3), heard(5, "b", lasting=4), heard(20, "c", lasting=1))
    own = found["participants"]["student"]
    assert own["turns"] == 2  # the third came 11 s after
    assert own["longest_turn_seconds"] == 9
    assert own["longest_turn_at"] == at(0)


def test_response_time_is_the_silence_before_the_other_answers() -> None:
    found = of(
        heard(0, "q", "counselor", lasting=2),
        heard(3, "a", lasting=2),
        heard(6, "q", "counselor", lasting=2),
        heard(11, "a", lasting=2),
    )
    assert found["participants"]["student"]["response_seconds"] == 2.0  # the median of 1 and 3 s
    assert found["participants"]["counselor"]["response_seconds"] == 1.0


def test_who_begins_while_the_other_speaks_and_goes_on_interrupts() -> None:
    found = of(heard(0, "long", lasting=5), heard(4, "but", "counselor", lasting=4))
    assert found["participants"]["counselor"]["interruptions"] == 1
    assert found["participants"]["student"]["interruptions"] == 0
    assert found["participants"]["counselor"]["response_seconds"] is None


def test_an_answer_a_moment_too_early_is_no_interruption() -> None:
    found = of(heard(0, "long", lasting=5), heard(4.8, "yes", "counselor", lasting=4))
    assert found["participants"]["counselor"]["interruptions"] == 0


def test_listening_aloud_takes_the_floor_from_nobody() -> None:
    found = of(
        heard(0, "long", lasting=5), heard(2, "mhm", "counselor", lasting=0.6), heard(5.5, "on", lasting=2)
    )
    assert found["participants"]["student"]["turns"] == 1
    assert found["participants"]["counselor"] == {
        "talk_seconds": 0.6,
        "talk_share": round(0.6 / 7.6, 4),
        "words": 1,
        "words_per_minute": 100,
        "turns": 0,
        "longest_turn_seconds": None,
        "longest_turn_at": None,
        "response_seconds": None,
        "interruptions": 0,
    }


def test_words_that_were_sent_last_as_long_as_they_take_to_say() -> None:
    found = of(told(0, "one two three four five"))
    assert found["participants"]["student"]["talk_seconds"] == 2.0


def test_what_a_shared_screen_plays_is_nobodys_talk() -> None:
    assert of(heard(0, "a film", track="screen_share_audio"))["participants"] == {}
