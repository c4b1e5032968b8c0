"""An agent's speech that waits for its own words, in real time but with a short wait."""

import asyncio
from datetime import timedelta

from agent.clock import now
from agent.own_words_held import OwnWordsHeld
from agent.session.events import UtteranceHeard
from agent.spoken import Spoken

AGENT = "counselor-ai"
SHORT, LONG = timedelta(seconds=0.3), timedelta(seconds=60)
SENTENCE = "these are six words of mine"


def words(text: str = SENTENCE, ago: float = 0.0, segment: str | None = None) -> UtteranceHeard:
    at = now() - timedelta(seconds=ago)
    return UtteranceHeard(
        at=at, end=at, identity=AGENT, text=text, source="data", told="agent", segment=segment
    )


def speech(seconds: float = 2.0, ago: float = 0.0) -> Spoken:
    end = now() - timedelta(seconds=ago)
    return Spoken(AGENT, end - timedelta(seconds=seconds), end)


def waiting(held: OwnWordsHeld, spoken: Spoken) -> "asyncio.Task[bool]":
    return asyncio.create_task(held.came(spoken, held.spoke(spoken)))


async def test_words_that_come_later_account_for_speech() -> None:
    held = OwnWordsHeld(LONG)
    held.sent(words(ago=60))
    came = waiting(held, speech())
    await asyncio.sleep(0)
    assert not came.done()
    held.sent(words())
    assert await came


async def test_speech_without_words_is_given_up_and_the_next_is_not_held_at_all() -> None:
    held = OwnWordsHeld(SHORT)
    held.sent(words(ago=60))
    assert held.sends(AGENT)
    first, second = waiting(held, speech()), waiting(held, speech(ago=-5))
    assert not await first
    assert not held.sends(AGENT)
    async with asyncio.timeout(1):  # long before its own time is over
        assert not await second
    held.sent(words())
    assert held.sends(AGENT)


async def test_a_word_does_not_stand_for_a_minute() -> None:
    held = OwnWordsHeld(SHORT)
    held.sent(words("yes"))
    assert not await waiting(held, speech(20))


async def test_who_goes_on_sending_is_waited_for_though_one_sentence_had_none() -> None:
    held = OwnWordsHeld(SHORT)
    held.sent(words("yes"))
    lost = waiting(held, speech(20, ago=0.05))
    await asyncio.sleep(0)
    held.sent(words("yes", ago=-1))
    assert not await lost
    assert held.sends(AGENT)


async def test_who_leaves_is_not_waited_for() -> None:
    held = OwnWordsHeld(LONG)
    held.sent(words(ago=60))
    came = waiting(held, speech())
    await asyncio.sleep(0)
    held.gone(AGENT)
    assert not await came


async def test_at_the_end_of_a_session_everything_up_to_then_is_decided_at_once() -> None:
    held = OwnWordsHeld(LONG)
    held.sent(words(ago=60))
    spoken = speech()
    turn = held.spoke(spoken)  # its file is still being written
    held.decide()
    assert not await held.came(spoken, turn)
    later = waiting(held, speech())
    await asyncio.sleep(0)
    assert not later.done()
    held.decide(for_good=True)
    assert not await later
    assert not await waiting(held, speech())


async def test_a_text_that_replaces_another_is_not_counted_twice() -> None:
    held = OwnWordsHeld(SHORT)
    held.sent(words("one two three", segment="SG_1"))
    held.sent(words("one two three four", segment="SG_1"))
    assert not await waiting(held, speech(3.5))
    assert await waiting(held, speech(2.4))
