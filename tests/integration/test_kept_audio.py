"""What was said while Whisper was away outlives the recorder that heard it."""

import asyncio
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from livekit import api

from agent.demo.caller import Caller
from agent.local.postgres import EmbeddedPostgres
from agent.local.sfu import Sfu
from agent.local.whisper import WhisperServer
from agent.utterances import RATE
from bench.speech import sentence, word_error_rate
from bench.stack import Stack, new_room, running_stack, until

pytestmark = pytest.mark.slow
SAID = sentence("0880")


@pytest.fixture
def whisper(tmp_path: Path) -> Iterator[WhisperServer]:
    server = WhisperServer(tmp_path / "whisper", "tiny.en")
    server.start()
    yield server
    server.stop()


def audio_of(stack: Stack) -> list[Path]:
    return [path for path in (stack.spool / "audio").glob("*") if path.suffix in (".utterance", ".speaking")]


async def say_while_whisper_is_away(stack: Stack, whisper: WhisperServer, room: str, who: Caller) -> None:
    await until(lambda: stack.log("session_claimed", room=room))
    whisper.kill()
    await who.say(SAID)
    await until(lambda: stack.log("transcription_retried", room=room))
    await until(lambda: audio_of(stack) and not list((stack.spool / "audio").glob("*.speaking")))


def assert_said_once(record: dict[str, Any]) -> None:
    (entry,) = record["transcript"]
    assert word_error_rate([SAID.words], [entry["text"]]) < 0.3
    assert entry["identity"] == "student-1"
    ledger = record["coverage"]["participants"]["student-1"]
    assert ledger["transcribed"] == ledger["speech"] > 0
    assert "transcription_unavailable" not in ledger["missed"]
    assert "transcription_unavailable" not in {gap["reason"] for gap in record["gaps"]}


async def test_a_successor_transcribes_what_a_killed_recorder_had_heard(
    sfu_of_its_own: Sfu, postgres_of_its_own: EmbeddedPostgres, whisper: WhisperServer, tmp_path: Path
) -> None:
    room = new_room()
    with running_stack(sfu_of_its_own, postgres_of_its_own, whisper.base_url, tmp_path) as stack:
        async with stack.joining(room, "student-1") as student:
            await say_while_whisper_is_away(stack, whisper, room, student)
            os.kill(int(stack.log("recording_began", room=room)[-1]["pid"]), signal.SIGKILL)
            await until(lambda: stack.log("audio_adopted", room=room))
            whisper.start()
            await until(lambda: stack.log("utterance_recognised", room=room))
        record = await stack.completed(room)
        await until(lambda: not audio_of(stack))
    assert_said_once(record)
    assert not stack.log("transcribed_late")


async def test_half_a_sentence_of_a_killed_recorder_is_transcribed_as_far_as_it_went(
    sfu_of_its_own: Sfu, postgres_of_its_own: EmbeddedPostgres, whisper: WhisperServer, tmp_path: Path
) -> None:
    room = new_room()

    def pid() -> int:
        return int(stack.log("recording_began", room=room)[-1]["pid"])

    async def kill_in_mid_sentence() -> None:
        (path,) = await until(lambda: list((stack.spool / "audio").glob("*.speaking")))
        await until(lambda: path.stat().st_size > 3 * RATE * 2)
        os.kill(pid(), signal.SIGKILL)

    with running_stack(sfu_of_its_own, postgres_of_its_own, whisper.base_url, tmp_path) as stack:
        async with stack.joining(room, "student-1") as student:
            await until(lambda: stack.log("session_claimed", room=room))
            async with asyncio.TaskGroup() as both:
                both.create_task(kill_in_mid_sentence())
                both.create_task(student.say(sentence("0870")))
            await until(lambda: stack.log("audio_adopted", room=room))
            await until(lambda: stack.log("utterance_recognised", room=room))
        record = await stack.completed(room)
        await until(lambda: not audio_of(stack))
    assert "john" in record["transcript"][0]["text"].lower()
    assert not stack.log("transcribed_late")


async def test_the_worker_transcribes_what_recorder_and_room_left_behind(
    sfu_of_its_own: Sfu, postgres_of_its_own: EmbeddedPostgres, whisper: WhisperServer, tmp_path: Path
) -> None:
    sfu, postgres, room = sfu_of_its_own, postgres_of_its_own, new_room()
    with running_stack(sfu, postgres, whisper.base_url, tmp_path / "first") as first:
        async with first.joining(room, "student-1") as student:
            await say_while_whisper_is_away(first, whisper, room, student)
            os.killpg(first.worker.pid, signal.SIGKILL)  # its jobs, too
    await until(lambda: _gone(sfu, room))
    whisper.start()
    spool = {"RECORDER_SPOOL_DIR": str(first.spool)}
    with running_stack(sfu, postgres, whisper.base_url, tmp_path / "second", **spool) as second:
        await until(lambda: second.log("spool_replayed"), within=120)
        await until(lambda: second.log("abandoned_session_completed"))
        record = await second.record(room)
    assert record is not None
    assert record["status"] == "completed"
    assert_said_once(record)
    assert len(second.log("transcribed_late")) == 1
    assert audio_of(first) == []


async def _gone(sfu: Sfu, room: str) -> bool:
    async with api.LiveKitAPI(sfu.url, sfu.api_key, sfu.api_secret) as livekit:
        there = await livekit.room.list_rooms(api.ListRoomsRequest(names=[room]))
    return not there.rooms
