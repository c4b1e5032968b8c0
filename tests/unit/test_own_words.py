"""Of which speech an agent's own words are all that there need be."""

from random import Random
from time import perf_counter

import pytest

from agent.session.own_words import accounted_for
from agent.session.spans import Span
from tests.unit.builders import at, told

TEN_WORDS = "one two three four five six seven eight nine ten"  # 5.5 s of speech


def said(begin: float, end: float) -> Span:
    return Span(at(begin), at(end))


def test_speech_is_accounted_for_by_a_message_with_as_many_words() -> None:
    assert accounted_for([said(10, 15)], [told(15, TEN_WORDS)]) == [said(10, 15)]


def test_no_words_account_for_nothing() -> None:
    assert accounted_for([said(10, 11)], []) == []
    assert accounted_for([said(10, 11)], [told(10, "", lasting=1), told(10, "…")]) == []


def test_a_few_words_do_not_account_for_a_long_speech() -> None:
    assert accounted_for([said(10, 32)], [told(19.5, "yes")]) == []


def test_words_account_for_speech_near_to_them_only() -> None:
    speech = [said(10, 12), said(50, 52), said(100, 102)]
    assert accounted_for(speech, [told(53, TEN_WORDS)]) == [said(50, 52)]


def test_words_that_come_up_to_half_a_minute_before_or_after_their_speech_are_of_it() -> None:
    assert accounted_for([said(10, 12)], [told(42, "yes of course it is")]) == [said(10, 12)]
    assert accounted_for([said(10, 12)], [told(42.1, "yes of course it is")]) == []
    assert accounted_for([said(40, 42)], [told(10, "yes of course it is")]) == [said(40, 42)]
    assert accounted_for([said(40.1, 42)], [told(10, "yes of course it is")]) == []


def test_words_pay_for_the_nearest_speech_first_and_only_once() -> None:
    speech = [said(10, 13), said(14, 17), said(18, 21)]
    assert accounted_for(speech, [told(13, "that is all of it")]) == [said(10, 13)]
    assert accounted_for(speech, [told(13, "that is all of it"), told(21, "that is all of it")]) == [
        said(10, 13),
        said(18, 21),
    ]


def test_a_message_of_several_stretches_accounts_for_each_of_them() -> None:
    speech = [said(10, 11.4), said(12, 13.3), said(14, 15)]
    assert accounted_for(speech, [told(15.5, TEN_WORDS)]) == speech
    slowly = [said(10, 12), said(13, 15), said(16, 17)]
    assert accounted_for(slowly, [told(10, TEN_WORDS, lasting=7)]) == slowly  # came as they were said
    assert accounted_for(slowly, [told(17.5, TEN_WORDS)]) == slowly[1:]  # as far as anybody can tell


@pytest.mark.parametrize("wpm", [110, 150, 200])
@pytest.mark.parametrize("as_said", [True, False], ids=["sent as they are said", "sent at once"])
def test_words_of_one_sentence_do_not_account_for_the_next(wpm: int, as_said: bool) -> None:
    lasts = 10 * 60 / wpm
    speech = [said(begin, begin + lasts) for begin in (10, 10.6 + lasts, 11.2 + 2 * lasts)]
    sent = [
        told((span.begin - at(0)).total_seconds(), TEN_WORDS, lasting=lasts if as_said else 0)
        for span in speech
    ]
    assert accounted_for(speech, sent) == speech
    assert accounted_for(speech, sent[:1]) == speech[:1]
    assert accounted_for(speech, sent[::2]) == speech[::2]


def test_several_messages_account_for_one_stretch_together() -> None:
    assert accounted_for([said(10, 20)], [told(15, TEN_WORDS), told(20, TEN_WORDS)]) == [said(10, 20)]


def test_a_message_that_says_how_long_it_took_accounts_for_what_lies_in_it() -> None:
    assert accounted_for([said(60, 64)], [told(10, TEN_WORDS, lasting=60)]) == [said(60, 64)]


def test_a_claimed_time_however_long_pays_no_more_than_its_words() -> None:
    speech = [said(10 * n, 10 * n + 5) for n in range(20)]
    assert accounted_for(speech, [told(0, TEN_WORDS, lasting=1000)]) == [said(0, 5)]


def test_words_without_spaces_between_them_are_counted_too() -> None:
    assert accounted_for([said(10, 14)], [told(14, "我想和你談談我的妹妹。")]) == [said(10, 14)]


def test_neither_order_nor_repetition_of_the_speech_changes_the_answer() -> None:
    random = Random(7)
    speech = [said(3 * n, 3 * n + random.uniform(0.2, 2.8)) for n in range(60)]
    own = [told(random.uniform(0, 180), TEN_WORDS[: random.randrange(24)]) for _ in range(20)]
    expected = accounted_for(speech, own)
    assert 0 < len(expected) < 60
    for _ in range(20):
        random.shuffle(own)
        again = random.choices(speech, k=20) + random.sample(speech, 60)
        assert accounted_for(again, own) == expected


def test_a_long_day_takes_no_long_time() -> None:
    speech = [said(3 * n, 3 * n + 2.5) for n in range(20_000)]
    hostile = [told(0, TEN_WORDS, lasting=60_000) for _ in range(20_000)]
    began = perf_counter()
    assert len(accounted_for(speech, hostile)) == 20_000
    assert perf_counter() - began < 5
