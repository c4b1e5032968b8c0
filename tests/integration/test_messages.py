"""The data channel: words that participants send themselves, and messages nobody should send."""

import json
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from livekit.agents.voice.room_io._output import _ParticipantStreamTranscriptionOutput as AgentOutput

from agent.local.postgres import EmbeddedPostgres
from bench.speech import sentence
from bench.stack import Stack, new_room, until
from bench.truths import own_words
from bench.truths.case import Rig, Row

DEEP = b'{"text": ' + b"[" * 7000 + b"]" * 7000 + b"}"


@pytest.fixture
def rig(stack: Stack, postgres: EmbeddedPostgres, whisper_url: str, tmp_path: Path) -> Rig:
    return Rig(tmp_path, postgres, whisper_url, stack)


async def test_hostile_messages_leave_one_log_line_each_and_harm_nothing(stack: Stack) -> None:
    room = new_room()
    hostile: list[tuple[str, bytes]] = [
        ("transcript", b"\xff\xfe\x00 not text"),
        ("transcript", b"[1, 2, 3]"),
        ("transcript", json.dumps({"text": 7}).encode()),
        ("transcript", json.dumps({"text": "   "}).encode()),
        ("transcript", json.dumps({"text": "hi", "timestamp": "yesterday"}).encode()),
        ("transcript", json.dumps({"text": "hi", "speaker": "counselor"}).encode()),
        ("transcript", json.dumps({"text": "hi", "language": "Klingon, I think"}).encode()),
        ("transcript", json.dumps({"text": "x" * 17_000}).encode()),
        ("transcript", DEEP),
        ("session.saved", json.dumps({"session_id": "x"}).encode()),
        ("session.save_failed", b"{}"),
        ("quality.reading", json.dumps({"track_sid": "TR_of_nobody", "bitrate_kbps": 1}).encode()),
        ("quality.reading", b'{"track_sid": "x", "bitrate_kbps": NaN}'),
        ("quality.reading", b"{}"),
        ("session.end", b"no"),
    ]
    async with (
        stack.joining(room, "student-1", microphone=False) as student,
        stack.joining(room, "guest", microphone=False) as guest,
    ):
        await until(lambda: len(stack.log("participant_joined", room=room)) == 2)
        await until(lambda: stack.log("session_claimed", room=room))
        for topic, payload in hostile:
            await student.send(topic, payload)
        await guest.send("session.end", {})
        await student.send("chat", {"text": "of no concern to the recorder"})
        await until(lambda: len(stack.log("message_refused", room=room)) == len(hostile) + 1)
        in_progress = await stack.record(room)
        assert in_progress is not None
        assert in_progress["status"] == "in_progress"
        await stack.tell(student, "Still here after all that.")
    record = await stack.completed(room)
    assert len(stack.log("message_refused", room=room)) == len(hostile) + 1
    assert [entry["text"] for entry in record["transcript"]] == ["Still here after all that."]
    assert record["end_reason"] == "room_empty"


async def test_data_that_nobody_listens_to_leaves_one_line_for_each_sender_and_topic(stack: Stack) -> None:
    room = new_room()
    async with (
        stack.joining(room, "student-1", microphone=False) as student,
        stack.joining(room, "counselor-1", microphone=False) as counselor,
    ):
        await until(lambda: len(stack.log("participant_joined", room=room)) == 2)
        for _ in range(3):
            await student.send("", {"text": "words without a topic"})
            await student.send("transcripts", {"text": "words of a mistyped topic"})
            await student.send("lk.chat", {"text": "of LiveKit's own"})
            await counselor.send("transcripts", {"text": "words of a mistyped topic"})
        await stack.tell(student, "Heard.")
        await stack.tell(counselor, "Heard, too.")
    await stack.completed(room)
    lines = stack.log("message_ignored", room=room)
    told = sorted((line["identity"], line["topic"], line["reason"]) for line in lines)
    assert told == [
        ("counselor-1", "transcripts", "unknown topic"),
        ("student-1", "", "no topic"),
        ("student-1", "transcripts", "unknown topic"),
    ]
    assert "mistyped" not in str(lines)


async def test_a_megabyte_is_refused_too(stack: Stack) -> None:
    room = new_room()
    async with stack.joining(room, "student-1", microphone=False) as student:
        await until(lambda: stack.log("session_claimed", room=room))
        await student.room.local_participant.send_text("x" * 1_000_000, topic="lk.transcription")
        await until(lambda: stack.log("message_refused", room=room))
        await stack.tell(student, "Still here after a megabyte.")
    record = await stack.completed(room)
    assert [entry["text"] for entry in record["transcript"]] == ["Still here after a megabyte."]
    assert len(stack.log("message_refused", room=room)) == 1


async def test_words_that_a_participant_sends_are_not_heard_twice(stack: Stack) -> None:
    room = new_room()
    said = sentence("0930")
    async with (
        stack.joining(room, "student-1") as student,
        stack.joining(room, "counselor-ai") as counselor,
    ):
        await until(lambda: stack.log("recording_began", room=room))
        spoken = await counselor.say(said)
        await counselor.send(
            "transcript",
            {
                "text": said.words + " \ud83d",  # half an emoji
                "timestamp": spoken.begin.isoformat(),
                "speaker": "counselor",
                "language": "en-GB",
            },
        )
        spoken = await counselor.say(sentence("0880"))
        await counselor.send("transcript", {"text": "the second one", "timestamp": spoken.begin.timestamp()})
        await student.say(sentence("0890"))
        heard = datetime.now(UTC)
        await student.send("session.end", {})
        await student.wait_for_message("session.saved", 60)
    transcript = (await stack.completed(room))["transcript"]
    own = [entry for entry in transcript if entry["identity"] == "counselor-ai"]
    assert [entry["text"] for entry in own] == [said.words, "the second one"]
    assert {entry["source"] for entry in own} == {"data"}
    assert [entry.get("language") for entry in own] == ["en", None]
    assert {entry["speaker"] for entry in own} == {"counselor"}
    assert {entry["source"] for entry in transcript if entry["identity"] == "student-1"} == {"whisper"}
    assert abs(datetime.fromisoformat(own[1]["timestamp"]) - spoken.begin) < timedelta(seconds=0.01)
    assert datetime.fromisoformat(transcript[-1]["end"]) < heard + timedelta(seconds=0.3)


async def test_text_streams_count_in_their_final_form(stack: Stack) -> None:
    room = new_room()
    async with stack.joining(room, "counselor-ai", microphone=False) as counselor:
        await until(lambda: stack.log("session_claimed", room=room))
        send = counselor.room.local_participant.send_text
        for text, final in (("Welcome", "false"), ("Welcome back", "false"), ("Welcome back, Sam.", "true")):
            await send(text, topic="lk.transcription", attributes={"lk.transcription_final": final})
        await until(lambda: stack.journaled("Welcome back, Sam."))
    transcript = (await stack.completed(room))["transcript"]
    assert [entry["text"] for entry in transcript] == ["Welcome back, Sam."]


async def test_a_participants_own_figures_are_stored_as_their_leg(stack: Stack) -> None:
    room = new_room()
    async with stack.joining(room, "student-1") as student:
        await until(lambda: stack.log("session_claimed", room=room))
        track_sid = await until(lambda: next(iter(student.room.local_participant.track_publications), None))
        figures = {"bitrate_kbps": 31.5, "packets_lost": 2, "packets_received": 98, "jitter_ms": 4.5}
        await student.send("quality.reading", {"track_sid": track_sid, "source": "microphone", **figures})
        await until(lambda: _has_client_reading(stack, room))
        await until(lambda: stack.hears(room, 1))
        await student.say(sentence("0930"))  # what is over at once has no reading of the recorder's own
    record = await stack.completed(room)
    own = [r for r in record["readings"] if r["leg"] == "client_to_sfu"]
    assert [{name: r[name] for name in figures} for r in own] == [figures]
    assert record["quality_metrics"]["packet_loss_percentage"] == 0


async def _has_client_reading(stack: Stack, room: str) -> bool:
    record = await stack.record(room)
    return any(r["leg"] == "client_to_sfu" for r in record["readings"]) if record else False


async def test_who_of_two_unseen_newcomers_sent_something_is_not_guessed(stack: Stack) -> None:
    room = new_room()
    async with stack.joining(room, "counselor-1") as counselor:
        await until(lambda: stack.log("recording_began", room=room))
        async with (
            stack.joining(room, "student-1", microphone=False) as one,
            stack.joining(room, "student-2", microphone=False) as other,
        ):
            await one.send("transcript", {"text": "Which of us says this?"})
            await other.send("transcript", {"text": "And this?"})
            await until(lambda: len(stack.log("message_refused", room=room)) == 2)
            await stack.tell(one, "Now I am known.")
        await stack.tell(counselor, "So am I.")
    record = await stack.completed(room)
    assert [entry["text"] for entry in record["transcript"]] == ["Now I am known.", "So am I."]
    assert {line["reason"] for line in stack.log("message_refused", room=room)} == {"sender unknown"}


async def test_the_final_words_of_someone_who_has_left_are_theirs(stack: Stack) -> None:
    room = new_room()
    async with stack.joining(room, "counselor-ai", kind="agent") as agent:
        await until(lambda: stack.log("recording_began", room=room))
        async with stack.joining(room, "student-1", attributes={"role": "student"}):
            await until(lambda: stack.log("participant_joined", room=room, identity="student-1"))
            output = AgentOutput(agent.room, is_delta_stream=False, participant="student-1")
            await output.capture_text("I have to")
            await output.capture_text("I have to go")
        await until(lambda: stack.log("participant_left", room=room, identity="student-1"))
        await output.capture_text("I have to go now.")
        output.flush()
        await output.aclose()
        await until(lambda: stack.journaled("I have to go now."))
    transcript = (await stack.completed(room))["transcript"]
    assert [(entry["speaker"], entry["text"]) for entry in transcript] == [("user", "I have to go now.")]


@pytest.mark.parametrize("measure", [own_words.streams, own_words.broken_off, own_words.early])
async def test_words_sent_as_text_are_written_as_sent(
    measure: Callable[[Rig], Coroutine[Any, Any, list[Row]]], rig: Rig
) -> None:
    assert [row for row in await measure(rig) if not row.holds] == []
