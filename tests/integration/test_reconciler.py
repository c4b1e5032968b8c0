"""A room that LiveKit sent nobody to, or whose recorder was killed, is recorded all the same."""

import os
import signal
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from agent.demo.caller import Caller
from agent.local.postgres import EmbeddedPostgres
from agent.local.sfu import Sfu
from bench.stack import Stack, new_room, running_stack, until

pytestmark = pytest.mark.slow


def words_of(record: dict[str, Any]) -> list[str]:
    return [entry["text"] for entry in record["transcript"]]


def job_of(stack: Stack, room: str) -> int:
    return int(stack.log("recording_began", room=room)[-1]["pid"])


async def recorded_by(stack: Stack, room: str, times: int) -> None:
    await until(lambda: len(stack.log("session_claimed", room=room)) >= times)


async def test_a_killed_recorder_is_replaced_and_the_gap_noted(stack: Stack) -> None:
    room = new_room()
    async with stack.joining(room, "student-1") as student, stack.joining(room, "counselor-1") as counselor:
        await recorded_by(stack, room, 1)
        await stack.tell(student, "Before it was killed.")
        await until(lambda: stack.hears(room, 2))
        killed_at = datetime.now(UTC)
        os.kill(job_of(stack, room), signal.SIGKILL)
        await recorded_by(stack, room, 2)
        await stack.tell(counselor, "After another came.")
        await until(lambda: stack.hears(room, 2, "recorder_taken_over"))
        stays = {student.sid: student.joined_at, counselor.sid: counselor.joined_at}
    record = await stack.completed(room)
    assert words_of(record) == ["Before it was killed.", "After another came."]
    assert {p["participant_sid"]: p["joined_at"] for p in record["participants"]} == stays
    (gap,) = [gap for gap in record["gaps"] if gap["what"] == "everything"]
    assert gap["reason"] == "recorder_taken_over"
    begin, end = (datetime.fromisoformat(gap[key]) for key in ("from", "until"))
    assert begin - killed_at < timedelta(seconds=0.1)
    assert end > killed_at
    heard_again = [
        g for g in record["gaps"] if g["what"] == "transcript" and g["reason"] == "recorder_taken_over"
    ]
    assert sorted(g["identity"] for g in heard_again) == ["counselor-1", "student-1"]


async def test_who_left_while_nobody_recorded_has_left(stack: Stack) -> None:
    room = new_room()
    async with stack.joining(room, "counselor-1"):
        async with stack.joining(room, "student-1") as student:
            await recorded_by(stack, room, 1)
            await stack.tell(student, "I am about to go.")
            os.kill(job_of(stack, room), signal.SIGKILL)
        await recorded_by(stack, room, 2)
    record = await stack.completed(room)
    assert [p["left_at"] is not None for p in record["participants"]] == [True, True]


async def test_a_room_from_before_the_worker_is_recorded(
    sfu_of_its_own: Sfu, postgres_of_its_own: EmbeddedPostgres, whisper_url: str, tmp_path: Path
) -> None:
    sfu, postgres, room = sfu_of_its_own, postgres_of_its_own, new_room()
    with ExitStack() as running:
        address = (sfu.url, sfu.api_key, sfu.api_secret)
        async with Caller.joining(*address, room, "student-1", microphone=False) as student:
            stack = running.enter_context(running_stack(sfu, postgres, whisper_url, tmp_path))
            await recorded_by(stack, room, 1)
            await stack.tell(student, "I was here before the worker.")
            joined_at = student.joined_at
        record = await stack.completed(room)
    assert words_of(record) == ["I was here before the worker."]
    assert record["start_time"] == joined_at
    assert len(stack.log("recorder_started_for_new_room", room=room)) == 1
    assert stack.log("recorder_started_for_room", room=room) == []


async def test_a_killed_workers_room_goes_to_another_worker(
    sfu_of_its_own: Sfu, postgres_of_its_own: EmbeddedPostgres, whisper_url: str, tmp_path: Path
) -> None:
    sfu, postgres, room = sfu_of_its_own, postgres_of_its_own, new_room()
    with ExitStack() as running:
        first = running.enter_context(running_stack(sfu, postgres, whisper_url, tmp_path / "first"))
        async with first.joining(room, "student-1", microphone=False) as student:
            await recorded_by(first, room, 1)
            await first.tell(student, "To the first worker.")
            second = running.enter_context(running_stack(sfu, postgres, whisper_url, tmp_path / "second"))
            os.killpg(first.worker.pid, signal.SIGKILL)
            await recorded_by(second, room, 1)
            await second.tell(student, "To the second worker.")
        record = await second.completed(room)
    assert words_of(record) == ["To the first worker.", "To the second worker."]
    assert [gap["reason"] for gap in record["gaps"]] == ["recorder_taken_over"]


async def test_a_session_whose_recorder_and_room_are_gone_is_completed(
    sfu_of_its_own: Sfu, postgres_of_its_own: EmbeddedPostgres, whisper_url: str, tmp_path: Path
) -> None:
    sfu, postgres, room = sfu_of_its_own, postgres_of_its_own, new_room()
    with running_stack(sfu, postgres, whisper_url, tmp_path / "first") as first:
        async with first.joining(room, "student-1", microphone=False) as student:
            await recorded_by(first, room, 1)
            await first.tell(student, "The last words.")
            os.killpg(first.worker.pid, signal.SIGKILL)  # its jobs, too
            left_at = datetime.now(UTC)
    with running_stack(sfu, postgres, whisper_url, tmp_path / "second") as second:
        (line,) = await until(lambda: second.log("abandoned_session_completed"))
        record = await second.record(room)
    assert record is not None
    assert line["session_id"] == str(record["session_id"])
    assert (record["status"], record["end_reason"]) == ("completed", "recorder_lost")
    assert words_of(record) == ["The last words."]
    assert abs(record["end_time"] - left_at) < timedelta(seconds=5)
    assert record["participants"][0]["left_at"] == record["end_time"]
