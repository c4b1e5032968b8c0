import pytest

from agent.session.events import Role, Speaker, UtteranceHeard
from agent.session.fold import fold
from tests.unit.builders import heard, info, joined, told


def texts(*utterances: UtteranceHeard) -> list[str]:
    return [line["text"] for line in fold(info(), [joined(0), *utterances]).transcript()]


def test_a_line_of_a_transcript_says_who_what_and_when() -> None:
    session = fold(info(), [joined(0), heard(1.5, "Guten Tag", lasting=0.75, language="de")])
    assert session.transcript() == [
        {
            "speaker": "user",
            "text": "Guten Tag",
            "timestamp": "2026-01-31T10:00:01.500Z",
            "end": "2026-01-31T10:00:02.250Z",
            "identity": "student",
            "source": "whisper",
            "language": "de",
        }
    ]


def test_a_language_that_nobody_told_is_left_out() -> None:
    assert "language" not in fold(info(), [joined(0), told(1, "hello")]).transcript()[0]


@pytest.mark.parametrize(
    ("role", "speaker"),
    [("student", "user"), ("counselor", "counselor"), ("participant", "participant")],
)
def test_the_speaker_is_named_by_their_role(role: Role, speaker: Speaker) -> None:
    session = fold(info(), [joined(0, "someone", role=role), heard(1, "hello", "someone")])
    assert session.transcript()[0]["speaker"] == speaker


def test_someone_whose_join_is_unknown_is_a_participant() -> None:
    assert fold(info(), [heard(1, "hello", "ghost")]).transcript()[0]["speaker"] == "participant"


def test_words_are_in_the_order_in_which_they_began_not_in_which_they_were_recognised() -> None:
    assert texts(heard(9, "three"), heard(1, "one", lasting=20), told(5, "two", "counselor")) == [
        "one",
        "two",
        "three",
    ]


def test_what_whisper_hears_before_a_message_about_it_comes_is_not_written_too() -> None:
    assert texts(told(10, "my own words", lasting=2), heard(10.2, "my on words")) == ["my own words"]


def test_what_whisper_hears_when_no_more_messages_come_stays() -> None:
    assert texts(told(10, "my own words"), heard(60, "more")) == ["my own words", "more"]


def test_every_message_not_only_the_first_is_set_against_what_whisper_heard() -> None:
    assert texts(
        told(10, "the first one"),
        heard(100, "this is the second", lasting=3),
        told(104, "This is the second."),
    ) == ["the first one", "This is the second."]


def test_a_message_of_several_utterances_replaces_each_of_them() -> None:
    assert texts(
        heard(1, "I moved here last year", lasting=2),
        heard(4, "and I do not know anyone.", lasting=2),
        heard(7, "So I stay at home.", lasting=2),
        told(10, "I moved here last year and I don't know anyone so I stay at home"),
    ) == ["I moved here last year and I don't know anyone so I stay at home"]


def test_an_utterance_of_several_messages_is_replaced_by_them() -> None:
    assert texts(
        heard(1, "I moved here last year and I do not know anyone.", lasting=5),
        told(6.5, "I moved here last year"),
        told(7, "and I do not know anyone"),
    ) == ["I moved here last year", "and I do not know anyone"]


def test_words_without_spaces_between_them_are_compared_too() -> None:
    assert texts(heard(5, "我想和你談談我的妹妹", lasting=2), told(9, "我想和妳談談我的妹妹。")) == [
        "我想和妳談談我的妹妹。"
    ]


def test_what_someone_plays_to_the_room_is_none_of_their_own_words() -> None:
    played = heard(10, "my own words", track="screen_share_audio")
    assert texts(played, told(10.5, "my own words")) == ["my own words", "my own words"]


def test_what_is_heard_from_a_screen_share_says_so() -> None:
    session = fold(info(), [joined(0), heard(1, "hello", track="screen_share_audio"), heard(5, "hi")])
    assert [line.get("track") for line in session.transcript()] == ["screen_share_audio", None]
    assert "track" not in session.transcript()[1]


def test_what_whisper_hears_across_the_first_own_message_is_not_written_too() -> None:
    assert texts(heard(9, "I think so", lasting=3), told(10, "I think so.")) == ["I think so."]


def test_what_whisper_hears_across_the_first_own_message_gives_way_whatever_it_says() -> None:
    assert texts(heard(9, "something misheard", lasting=3), told(10, "I think so.")) == ["I think so."]


def test_the_same_words_that_whisper_wrote_down_just_before_the_first_message_give_way_to_it() -> None:
    assert texts(heard(5, "Well, I THINK so!", lasting=2), told(9, "well i think so")) == ["well i think so"]


def test_nearly_the_same_words_are_the_same_utterance_heard_twice() -> None:
    assert texts(
        heard(5, "so I would like to speak about my sister", lasting=3),
        told(9, "So I'd like to speak about my sister."),
    ) == ["So I'd like to speak about my sister."]


def test_other_words_before_the_first_message_stay() -> None:
    assert texts(heard(5, "Can you hear me?", lasting=2), told(9, "I would like to begin.")) == [
        "Can you hear me?",
        "I would like to begin.",
    ]


def test_other_words_that_merely_begin_alike_stay() -> None:
    assert texts(
        heard(5, "I would like a glass of water", lasting=2),
        told(9, "I would like to talk about my sister instead"),
    ) == ["I would like a glass of water", "I would like to talk about my sister instead"]


def test_the_same_words_said_long_before_stay() -> None:
    assert texts(heard(5, "I see.", lasting=1), told(36.5, "I see.")) == ["I see.", "I see."]


def test_words_that_end_when_the_first_message_begins_stay_if_they_are_others() -> None:
    assert texts(heard(5, "hello there", lasting=4), told(9, "goodbye then")) == [
        "hello there",
        "goodbye then",
    ]


def test_the_messages_of_one_do_not_silence_another() -> None:
    assert texts(told(10, "my own words", "counselor"), heard(11, "mine")) == ["my own words", "mine"]


def test_own_messages_are_all_kept_even_when_they_repeat() -> None:
    assert texts(told(10, "yes"), told(11, "yes"), told(12, "yes")) == ["yes", "yes", "yes"]
