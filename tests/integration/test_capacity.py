"""Many rooms in one worker, and where the next room goes when a worker is full."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest

from agent.local.postgres import EmbeddedPostgres
from agent.local.sfu import Sfu
from bench.speech import sentence, word_error_rate
from bench.stack import Stack, new_room, running_stack, until

pytestmark = pytest.mark.slow


async def test_rooms_that_are_threads_of_one_process_are_told_apart(
    sfu_of_its_own: Sfu, postgres_of_its_own: EmbeddedPostgres, whisper_url: str, tmp_path: Path
) -> None:
    said = {new_room(): sentence(number) for number in ("0870", "0880")}
    folder = tmp_path / "recorder"
    with running_stack(
        sfu_of_its_own, postgres_of_its_own, whisper_url, folder, RECORDER_JOBS="thread"
    ) as stack:
        async with AsyncExitStack() as leaving:
            for room, words in said.items():
                student = await leaving.enter_async_context(stack.joining(room, f"student-of-{room}"))
                await until(lambda room=room: stack.log("session_claimed", room=room))
                leaving.push_async_callback(student.say, words)
            await asyncio.gather(*(until(lambda r=r: stack.log("recording_began", room=r)) for r in said))
        for room, words in said.items():
            record = await stack.completed(room)
            assert {p["identity"] for p in record["participants"]} == {f"student-of-{room}"}
            heard = " ".join(entry["text"] for entry in record["transcript"])
            assert word_error_rate([words.words], [heard]) < 0.3
        assert len({line["pid"] for line in stack.log("recording_began")}) == 1
        assert {line["room"] for line in stack.log("utterance_recognised")} == set(said)


async def test_the_next_room_goes_to_the_worker_that_is_not_full(
    stack_of_its_own: Stack, whisper_url: str, tmp_path: Path
) -> None:
    large = stack_of_its_own
    with running_stack(
        large.sfu, large.postgres, whisper_url, tmp_path / "small", RECORDER_MAX_ROOMS="1"
    ) as small:
        async with AsyncExitStack() as leaving:
            while not small.log("session_claimed"):
                await leaving.enter_async_context(_joined(new_room(), large, small))
            in_a_row = 0
            # LiveKit learns that it is full with its next report, some two seconds later.
            for _ in range(24):
                room = new_room()
                async with _joined(room, large, small):
                    in_a_row = in_a_row + 1 if large.log("session_claimed", room=room) else 0
                if in_a_row == 8:
                    break
            assert in_a_row == 8


async def test_a_room_for_which_every_worker_is_full_is_told_once_and_recorded_when_there_is_room(
    sfu_of_its_own: Sfu, postgres_of_its_own: EmbeddedPostgres, whisper_url: str, tmp_path: Path
) -> None:
    quiet = {"microphone": False}
    settings = {"RECORDER_MAX_ROOMS": "1", "RECORDER_RECONCILE_INTERVAL": "0.5"}
    with running_stack(sfu_of_its_own, postgres_of_its_own, whisper_url, tmp_path, **settings) as stack:
        first, second = new_room(), new_room()
        async with AsyncExitStack() as staying:
            async with stack.joining(first, "student-1", **quiet):
                await until(lambda: stack.log("session_claimed", room=first))
                await staying.enter_async_context(stack.joining(second, "student-1", **quiet))
                await until(lambda: stack.log("workers_full", room=second))
            await until(lambda: stack.log("session_claimed", room=second), within=60)
        assert len(stack.log("workers_full")) == 1


@asynccontextmanager
async def _joined(room: str, large: Stack, small: Stack) -> AsyncIterator[None]:
    """Somebody in a new room that one of the two records."""
    async with large.joining(room, "student-1", microphone=False):
        await until(
            lambda: large.log("session_claimed", room=room) or small.log("session_claimed", room=room)
        )
        yield
