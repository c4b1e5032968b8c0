import asyncio
import logging

import pytest
from structlog.testing import capture_logs

from agent.tasks import Tasks


async def test_nothing_under_way_is_finished_at_once() -> None:
    async with asyncio.timeout(1):
        await Tasks().finished()
        await Tasks().close(grace=60)


async def test_finished_waits_for_everything_even_for_what_begins_meanwhile() -> None:
    tasks, done = Tasks(), []

    async def second() -> None:
        await asyncio.sleep(0)
        done.append("second")

    async def first() -> None:
        await asyncio.sleep(0)
        tasks.start(second())
        done.append("first")

    tasks.start(first())
    await tasks.finished()
    assert done == ["first", "second"]


async def test_what_ends_within_the_grace_is_not_cancelled() -> None:
    tasks, may_end, ended = Tasks(), asyncio.Event(), asyncio.Event()

    async def work() -> None:
        await may_end.wait()
        ended.set()

    tasks.start(work())
    asyncio.get_running_loop().call_later(0.01, may_end.set)
    await tasks.close(grace=60)
    assert ended.is_set()


async def test_what_is_left_after_the_grace_is_cancelled_and_awaited() -> None:
    tasks, story = Tasks(), []

    async def work(name: str) -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            await asyncio.sleep(0)  # a last deed takes a moment
            story.append(f"{name} tidied up")
            raise

    tasks.start(work("one"))
    tasks.start(work("two"))
    await asyncio.sleep(0)
    await tasks.close(grace=0.01)
    assert sorted(story) == ["one tidied up", "two tidied up"]
    async with asyncio.timeout(1):
        await tasks.finished()


async def test_no_grace_at_all_cancels_at_once_even_what_has_not_begun() -> None:
    tasks = Tasks()
    began = asyncio.Event()

    async def work() -> None:
        began.set()
        await asyncio.Event().wait()

    tasks.start(work())
    async with asyncio.timeout(1):
        await tasks.close(grace=0)
        await tasks.finished()


async def test_a_task_that_fails_leaves_a_line_and_harms_no_other(caplog: pytest.LogCaptureFixture) -> None:
    tasks, may_end, ended = Tasks(), asyncio.Event(), asyncio.Event()

    async def fail() -> None:
        raise ValueError("what she said")

    async def work() -> None:
        await may_end.wait()
        ended.set()

    with capture_logs() as lines, caplog.at_level(logging.DEBUG):
        tasks.start(work())
        tasks.start(fail())
        await asyncio.sleep(0)
        may_end.set()
        await tasks.finished()
    assert ended.is_set()
    (line,) = lines
    assert (line["event"], line["log_level"], line["error"]) == ("task_failed", "error", "ValueError")
    assert line["where"].startswith("test_tasks.py:")
    assert "what she said" not in str(lines) + caplog.text


async def test_a_task_that_is_cancelled_leaves_no_line() -> None:
    tasks = Tasks()

    async def work() -> None:
        await asyncio.Event().wait()

    with capture_logs() as lines:
        tasks.start(work())
        await tasks.close(grace=0)
    assert lines == []


async def test_a_failure_on_cancellation_is_logged_and_does_not_escape() -> None:
    tasks = Tasks()

    async def work() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            raise RuntimeError("while tidying up")

    with capture_logs() as lines:
        tasks.start(work())
        await asyncio.sleep(0)
        await tasks.close(grace=0)
    assert [line["error"] for line in lines] == ["RuntimeError"]


async def test_waiting_for_those_of_now_does_not_wait_for_what_begins_meanwhile() -> None:
    tasks, first, second = Tasks(), asyncio.Event(), asyncio.Event()

    async def wait_for(event: asyncio.Event) -> None:
        await event.wait()

    tasks.start(wait_for(first))
    waiting = asyncio.create_task(tasks.those_of_now(within=60))
    await asyncio.sleep(0)
    tasks.start(wait_for(second))
    first.set()
    await waiting
    assert not second.is_set()
    second.set()
    await tasks.finished()


async def test_waiting_for_those_of_now_ends_when_its_time_is_up() -> None:
    tasks, never = Tasks(), asyncio.Event()

    async def wait() -> None:
        await never.wait()

    tasks.start(wait())
    await tasks.those_of_now(within=0.01)
    never.set()
    await tasks.finished()
