"""How a worker and its jobs begin, end and share a room."""

import signal
from datetime import datetime
from pathlib import Path
from typing import Any

import psutil
import pytest
from livekit import api

from agent.local.postgres import EmbeddedPostgres
from agent.local.sfu import Sfu
from agent.local.whisper import WhisperServer
from bench.speech import sentence, word_error_rate
from bench.stack import Stack, new_room, running_stack, until

pytestmark = pytest.mark.slow


async def test_words_in_flight_when_the_room_empties_are_saved_too(stack: Stack) -> None:
    room, last_words = new_room(), sentence("0880")
    async with stack.joining(room, "student-1") as student:
        await until(lambda: stack.log("recording_began", room=room))
        await student.say(last_words)
    record = await stack.completed(room)
    heard = " ".join(entry["text"] for entry in record["transcript"])
    assert word_error_rate([last_words.words], [heard]) < 0.3
    assert "transcription_unavailable" not in {gap["reason"] for gap in record["gaps"]}


async def test_a_second_recorder_in_a_room_writes_nothing_and_leaves(
    stack: Stack, whisper_url: str, tmp_path: Path
) -> None:
    room, named = new_room(), {"RECORDER_DISPATCH": "named", "RECORDER_AGENT_NAME": "second"}
    with running_stack(stack.sfu, stack.postgres, whisper_url, tmp_path, **named) as second:
        async with stack.joining(room, "student-1", microphone=False) as student:
            await until(lambda: stack.log("session_claimed", room=room))
            async with api.LiveKitAPI(stack.sfu.url, stack.sfu.api_key, stack.sfu.api_secret) as livekit:
                another = api.CreateAgentDispatchRequest(agent_name="second", room=room)
                await livekit.agent_dispatch.create_dispatch(another)
            await until(lambda: second.log("session_held_by_another_recorder", room=room))
            await until(lambda: _recorders(stack, room, 1))
            await stack.tell(student, "Said once.")
        record = await stack.completed(room)
        assert not list(second.spool.glob("*.jsonl"))
    assert record["lease_epoch"] == 1
    assert [entry["text"] for entry in record["transcript"]] == ["Said once."]
    assert len(record["participants"]) == 1
    assert not list(stack.spool.glob("*.jsonl"))


async def test_a_worker_told_to_stop_records_its_rooms_to_their_end(stack_of_its_own: Stack) -> None:
    stack, room = stack_of_its_own, new_room()
    async with stack.joining(room, "student-1", microphone=False) as student:
        await until(lambda: stack.log("session_claimed", room=room))
        stack.worker.send(signal.SIGTERM)
        await until(lambda: stack.log("draining"))
        await stack.tell(student, "Said while it drains.")
    record = await stack.completed(room)
    assert [entry["text"] for entry in record["transcript"]] == ["Said while it drains."]
    await until(lambda: not stack.worker.running)


async def test_a_worker_told_to_stop_takes_rooms_until_another_is_ready(
    stack_of_its_own: Stack, whisper_url: str, tmp_path: Path
) -> None:
    leaving = stack_of_its_own
    first, meanwhile = new_room(), new_room()
    async with leaving.joining(first, "student-1", microphone=False):
        await until(lambda: leaving.log("session_claimed", room=first))
        leaving.worker.send(signal.SIGTERM)
        await until(lambda: leaving.log("draining", others_ready=False))
        async with leaving.joining(meanwhile, "student-1", microphone=False):
            await until(lambda: leaving.log("session_claimed", room=meanwhile))
            with running_stack(leaving.sfu, leaving.postgres, whisper_url, tmp_path / "next") as coming:
                await until(lambda: leaving.log("rooms_left_to_others"))
                # LiveKit learns of it with the worker's next report of its load.
                await until(lambda: _a_room_goes_to(coming, leaving))
    for room in (first, meanwhile):
        assert (await leaving.completed(room))["lease_epoch"] == 1
    await until(lambda: not leaving.worker.running)


async def test_words_wait_for_a_whisper_that_is_away(
    sfu_of_its_own: Sfu, postgres_of_its_own: EmbeddedPostgres, tmp_path: Path
) -> None:
    whisper = WhisperServer(tmp_path, "tiny.en")
    address, folder = whisper.start(), tmp_path / "recorder"
    grace = {"RECORDER_TRANSCRIPTION_GRACE": "5"}
    kept, lost, room = sentence("0880"), sentence("0930"), new_room()
    with running_stack(sfu_of_its_own, postgres_of_its_own, address, folder, **grace) as stack:
        async with stack.joining(room, "student-1") as student:
            await until(lambda: stack.log("recording_began", room=room))
            whisper.kill()
            await student.say(kept)
            await until(lambda: stack.log("transcription_retried", room=room))
            whisper.start()
            await until(lambda: stack.log("utterance_recognised", room=room))
            whisper.kill()
            spoken = await student.say(lost)
        record = await stack.completed(room)
    assert word_error_rate([kept.words], [record["transcript"][0]["text"]]) < 0.3
    assert len(record["transcript"]) == 1
    (gap,) = [gap for gap in record["gaps"] if gap["reason"] == "transcription_unavailable"]
    assert (gap["what"], gap["identity"]) == ("transcript", "student-1")
    assert datetime.fromisoformat(gap["from"]) < spoken.end
    ledger = record["coverage"]["participants"]["student-1"]
    assert ledger["transcribed"] > 0
    assert ledger["speech"] == pytest.approx(
        ledger["transcribed"] + ledger["missed"]["transcription_unavailable"], abs=0.01
    )


async def _a_room_goes_to(taking: Stack, other: Stack) -> bool:
    """Whether that worker is sent the next room."""
    room = new_room()
    async with taking.joining(room, "student-1", microphone=False):
        await until(
            lambda: taking.log("session_claimed", room=room) or other.log("session_claimed", room=room)
        )
    return bool(taking.log("session_claimed", room=room))


async def _recorders(stack: Stack, room: str, count: int) -> bool:
    async with api.LiveKitAPI(stack.sfu.url, stack.sfu.api_key, stack.sfu.api_secret) as livekit:
        there = await livekit.room.list_participants(api.ListParticipantsRequest(room=room))
    return sum(participant.permission.hidden for participant in there.participants) == count


async def test_a_worker_records_on_when_what_forks_its_jobs_dies(stack_of_its_own: Stack) -> None:
    stack, before, after = stack_of_its_own, new_room(), new_room()
    async with stack.joining(before, "student-1", microphone=False) as student:
        await until(lambda: stack.log("session_claimed", room=before))
        (forks,) = _forking(stack)
        forks.kill()
        await stack.tell(student, "Said after it died.")
        async with stack.joining(after, "student-2", microphone=False) as other:
            await until(lambda: stack.log("session_claimed", room=after))
            await stack.tell(other, "Said in the next room.")
            await until(lambda: _forking(stack))  # another does, for the rooms to come
    for room, said in ((before, "Said after it died."), (after, "Said in the next room.")):
        record = await until(lambda room=room: _completed(stack, room))
        assert [entry["text"] for entry in record["transcript"]] == [said]
        assert len(record["participants"]) == 1


async def test_nothing_of_a_worker_stays_when_it_is_killed(stack_of_its_own: Stack) -> None:
    assert _forking(stack_of_its_own)
    started = psutil.Process(stack_of_its_own.worker.pid).children(recursive=True)
    stack_of_its_own.worker.kill()
    _, alive = psutil.wait_procs(started, timeout=30)
    assert not alive


async def _completed(stack: Stack, room: str) -> dict[str, Any] | None:
    record = await stack.record(room)
    return record if record and record["status"] == "completed" else None


def _forking(stack: Stack) -> list[psutil.Process]:
    """The fork of the worker that its job processes are forked from; another of its forks has no children."""
    return [child for child in psutil.Process(stack.worker.pid).children() if child.children()]
