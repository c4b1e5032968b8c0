"""A background task that ends is told of and begins again, however it ended."""

import asyncio
from collections.abc import Callable

import pytest
from structlog.testing import capture_logs

from agent import supervision
from agent.supervision import OFTEN, Supervision


@pytest.fixture(autouse=True)
def no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervision, "LEAST_PAUSE", 0.001)


class Work:
    """Ends as told the first times, then goes on for ever."""

    def __init__(self, *endings: Callable[[], None]) -> None:
        self._endings = list(endings)
        self.began = 0
        self.working = asyncio.Event()

    async def run(self) -> None:
        self.began += 1
        if self._endings:
            self._endings.pop(0)()
            return
        self.working.set()
        await asyncio.Event().wait()


def fails() -> None:
    raise OSError("what somebody said")


def is_cancelled() -> None:
    task = asyncio.current_task()
    assert task is not None
    task.cancel()


async def working(work: Work) -> None:
    async with asyncio.timeout(5):
        await work.working.wait()


async def test_one_that_fails_returns_or_is_cancelled_begins_again_and_is_told_of() -> None:
    restarted: list[str] = []
    tasks, work = Supervision(restarted.append), Work(fails, lambda: None)
    with capture_logs() as logged:
        tasks.keep("work", work.run)
        await working(work)
        (task,) = [task for task in asyncio.all_tasks() if task.get_name() == "work"]
        work.working.clear()
        task.cancel()
        await working(work)
    assert [line["error"] for line in logged] == ["OSError", "returned", "cancelled"]
    assert {(line["event"], line["task"]) for line in logged} == {("task_ended", "work")}
    assert "what somebody said" not in str(logged)
    assert restarted == 3 * ["work"]
    await tasks.close()


async def test_one_that_ends_again_and_again_makes_its_owner_unwell() -> None:
    tasks, work = Supervision(), Work(*(OFTEN - 1) * [fails])
    tasks.keep("work", work.run)
    await working(work)
    assert tasks.failing() == {}
    await tasks.close()

    work = Work(*OFTEN * [fails])
    tasks.keep("work", work.run)
    await working(work)
    assert tasks.failing() == {"work": "OSError"}
    await tasks.close()


async def test_the_pause_grows_and_one_that_ran_steadily_begins_with_the_least(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tasks, work = Supervision(), Work(fails, fails, fails)
    with capture_logs() as logged:
        tasks.keep("work", work.run)
        await working(work)
    assert [line["again_in_seconds"] for line in logged] == [0.001, 0.002, 0.004]
    await tasks.close()
    monkeypatch.setattr(supervision, "STEADY_SECONDS", -1)
    tasks, work = Supervision(), Work(fails, fails)
    with capture_logs() as logged:
        tasks.keep("work", work.run)
        await working(work)
    assert [line["again_in_seconds"] for line in logged] == [0.001, 0.001]
    await tasks.close()


async def test_closing_ends_them_and_tells_nothing() -> None:
    tasks, work = Supervision(), Work()
    with capture_logs() as logged:
        tasks.keep("work", work.run)
        await working(work)
        await tasks.close()
    assert logged == []
    assert not [task for task in asyncio.all_tasks() if task.get_name() in ("work", "keeping work")]
