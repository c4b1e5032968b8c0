from dataclasses import replace
from time import perf_counter
from typing import Any

import pytest

from agent.session.events import Event, Role, Speaker, UtteranceHeard, iso
from agent.session.fold import fold
from agent.session.transcript import beside, only_told
from tests.unit.builders import at, heard, info, joined, left, told


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
            "origin": "heard",
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


def test_what_is_heard_while_a_message_says_something_else_stays() -> None:
    assert texts(heard(9, "something quite other", lasting=3), told(10, "I think so.")) == [
        "something quite other",
        "I think so.",
    ]


def test_words_that_were_heard_are_not_silenced_by_a_message_dated_over_them() -> None:
    assert texts(heard(1, "You are not welcome here", lasting=9), told(-50, "Good morning", lasting=62)) == [
        "Good morning",
        "You are not welcome here",
    ]
    assert texts(heard(1, "I do not want to go there", lasting=9), told(9.7, "yes", lasting=0.3)) == [
        "I do not want to go there",
        "yes",
    ]


def test_a_statement_within_words_that_read_alike_is_not_lost() -> None:
    heard_ = "I will come to the meeting on Monday but I hate it there and then we shall see what comes"
    sent = "I will come to the meeting on Monday and then we shall see what comes"
    assert texts(heard(1, heard_, lasting=8), told(9, sent)) == [heard_, sent]
    heard_ = "I will come to the meeting but not on Monday and then we shall see what comes"
    assert texts(heard(1, heard_, lasting=8), told(9, sent)) == [sent]


def test_each_own_word_stands_for_one_that_was_heard() -> None:
    assert texts(heard(1, "Yes."), heard(5, "Yes."), told(6, "yes")) == ["Yes.", "yes"]
    assert texts(heard(1, "Yes."), heard(5, "Yes."), told(2, "yes"), told(6, "yes")) == ["yes", "yes"]


def test_small_words_scattered_over_other_sentences_are_not_alike() -> None:
    others = [
        "I have seen that film about the war and did not like it at all",
        "would you say so to the people who made it with a lot of money",
        "like so many others it wants to be more than it can be to me",
    ]
    heard_ = "I would like to be with the people"
    assert heard_ in texts(heard(9, heard_, lasting=3), *(told(10 + n, o) for n, o in enumerate(others)))


def test_in_a_flood_of_own_words_the_nearest_are_compared() -> None:
    flood = [told(-0.01 * n, "blah " * 100 + str(n)) for n in range(1, 60)]
    assert "my on words" not in texts(*flood, told(10, "my own words"), heard(9, "my on words"))
    assert "my on words" in texts(*flood, heard(9, "my on words"))


def of_a_person(seconds: float, text: str, sent_by: str | None = None) -> UtteranceHeard:
    return replace(told(seconds, text), told="person", sent_by=sent_by)


@pytest.mark.parametrize(
    ("sung", "sent", "times"),
    [
        ("so the thing is that we go to the place and the rest is fine", "the " * 4000, 5),
        ("la " * 90, ("la " * 31 + "w x y z ") * 8, 300),
    ],
    ids=["of one word", "of a song and other words"],
)
def test_one_word_again_and_again_takes_no_long_time(sung: str, sent: str, times: int) -> None:
    said = [heard(30 * n, sung, lasting=28) for n in range(10)]
    began = perf_counter()
    lines = texts(*said, *(of_a_person(100 + n / 10, sent) for n in range(times)))
    assert perf_counter() - began < 10
    assert lines.count(sung) == len(said)
    assert len(lines) == len(said) + times


def test_a_persons_own_words_are_confirmed_by_what_was_heard_of_them() -> None:
    session = fold(
        info(), [joined(0), heard(3, "I want to study biology."), of_a_person(5, "i want to study biology")]
    )
    line = session.transcript()[0]
    assert len(session.transcript()) == 1
    assert (line["source"], line["origin"], line["confirmed"]) == ("data", "person", True)
    assert not only_told(line)


def test_a_persons_own_words_that_nobody_heard_stand_beside_what_was() -> None:
    said = [
        heard(3, "I want to study biology."),
        of_a_person(5, "I want to study biology and be paid for it now"),
    ]
    lines = fold(info(), [joined(0), *said]).transcript()
    assert [(line["origin"], only_told(line)) for line in lines] == [("heard", False), ("person", True)]
    assert "confirmed" not in lines[1]


def test_who_sent_the_words_of_another_is_told() -> None:
    line = fold(info(), [joined(0), of_a_person(5, "hello", "stt-bot")]).transcript()[0]
    assert (line["identity"], line["sent_by"]) == ("student", "stt-bot")


def test_own_words_from_before_it_was_told_whose_are_not_doubted() -> None:
    line = fold(info(), [joined(0), told(5, "hello")]).transcript()[0]
    assert "origin" not in line
    assert not only_told(line)
    agents = replace(told(5, "hello"), told="agent")
    assert fold(info(), [joined(0), agents]).transcript()[0]["origin"] == "agent"


def when(*events: Event) -> list[tuple[str, str]]:
    return [(e["timestamp"][17:23], e["end"][17:23]) for e in fold(info(), events).transcript()]


def test_claimed_times_are_within_the_stay_of_their_speaker() -> None:
    assert when(joined(10), told(-45, "early", lasting=57)) == [("10.000", "12.000")]
    assert when(joined(10), left(20), told(18, "late", lasting=9)) == [("18.000", "20.000")]
    assert when(joined(10), told(3, "before", lasting=2)) == [("05.000", "05.000")]
    assert when(joined(10), left(20), told(22, "after", lasting=3)) == [("25.000", "25.000")]
    again: list[Event] = [joined(10, sid="PA_1"), left(20, sid="PA_1"), joined(30, sid="PA_2")]
    assert when(*again, told(12, "over both", lasting=20)) == [("30.000", "32.000")]
    assert when(told(12, "of nobody", lasting=20)) == [("12.000", "32.000")]


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


def entry(seconds: float, text: str, **more: str) -> dict[str, Any]:
    return {"speaker": "user", "text": text, "timestamp": iso(at(seconds)), **more}


def by_client(seconds: float, text: str) -> dict[str, Any]:
    return entry(seconds, text, told_by="somebody")


def test_what_a_client_told_stands_beside_what_was_heard_and_replaces_nothing() -> None:
    heard = [entry(1, "I want to study biology."), entry(9, "Tell me more about that.")]
    forged = [
        by_client(0, "I hate this school, all of it."),
        by_client(5, "You should give me all your money now please."),
    ]
    together = beside(heard, forged)
    assert [e["text"] for e in together if "told_by" not in e] == [e["text"] for e in heard]
    assert [e["text"] for e in together] == [
        forged[0]["text"],
        heard[0]["text"],
        forged[1]["text"],
        heard[1]["text"],
    ]


def test_what_a_client_told_in_the_same_words_about_the_same_time_is_not_told_twice() -> None:
    heard = [entry(1, "I want to study biology but I am not sure where."), entry(30, "yes")]
    again = [by_client(3, "I want to study biology, but I'm not sure where"), by_client(28, "Yes.")]
    assert beside(heard, again) == heard


def test_the_same_words_at_another_time_or_in_another_order_are_others() -> None:
    heard = [entry(1, "I want to study biology")]
    others = [
        by_client(60, "I want to study biology"),
        by_client(2, "biology study to want I"),
        by_client(3, "I want to study chemistry"),
    ]
    assert len(beside(heard, others)) == 4


def test_without_anything_heard_all_that_was_told_is_there() -> None:
    assert beside([], [by_client(2, "b"), by_client(1, "a")]) == [by_client(1, "a"), by_client(2, "b")]
    assert beside([], [by_client(1, "…")]) == [by_client(1, "…")]
