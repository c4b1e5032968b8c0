"""Whoever asks for the end of a session, and how often they are answered."""

import asyncio

from agent import session_end
from agent.session_end import SessionEnd
from bench.stack import until


async def test_a_thousand_questions_have_one_answer() -> None:
    answers, go_on = 0, asyncio.Event()

    async def answer() -> None:
        nonlocal answers
        await go_on.wait()
        answers += 1

    end = SessionEnd(answer)
    asked = [end.ask() for _ in range(500)]
    await asyncio.sleep(0)
    go_on.set()
    await asyncio.sleep(0.01)
    asked += [end.ask() for _ in range(500)]
    await end.close()
    assert (sum(asked), answers) == (1, 1)


async def test_who_asks_again_later_is_answered_again() -> None:
    answers = 0

    async def answer() -> None:
        nonlocal answers
        answers += 1

    end = SessionEnd(answer)
    assert end.ask()
    await until(end.ask, within=5 * session_end.AGAIN_SECONDS)
    await until(lambda: answers == 2, within=1)
    await end.close()


async def test_an_answer_that_fails_keeps_nobody_from_asking_again() -> None:
    async def answer() -> None:
        raise OSError

    end = SessionEnd(answer)
    assert end.ask()
    await until(end.ask, within=5 * session_end.AGAIN_SECONDS)
    await end.close()
