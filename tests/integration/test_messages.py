"""The data channel: words that participants send themselves, and messages nobody should send."""

import asyncio
import json
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from livekit.agents.voice.room_io._output import _ParticipantStreamTranscriptionOutput as AgentOutput

from agent.demo.caller import Caller
from agent.local.postgres import EmbeddedPostgres
from bench.speech import sentence, word_error_rate
from bench.stack import Stack, connected, new_room, until
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


async def test_words_that_an_agent_sends_are_not_heard_twice(stack: Stack) -> None:
    room = new_room()
    said = sentence("0930")
    async with (
        stack.joining(room, "student-1") as student,
        stack.joining(room, "counselor-ai", kind="agent") as counselor,
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
        second = sentence("0880")
        spoken = await counselor.say(second)
        await counselor.send("transcript", {"text": second.words, "timestamp": spoken.begin.timestamp()})
        await student.say(sentence("0890"))
        heard = datetime.now(UTC)
        await student.send("session.end", {})
        await student.wait_for_message("session.saved", 60)
    transcript = (await stack.completed(room))["transcript"]
    own = [entry for entry in transcript if entry["identity"] == "counselor-ai"]
    assert [entry["text"] for entry in own] == [said.words, second.words]
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


async def test_what_nobody_is_proven_to_have_sent_is_nobodys(stack: Stack) -> None:
    room = new_room()
    async with (
        stack.joining(room, "student-1", microphone=False),
        stack.joining(room, "counselor-1", microphone=False),
    ):
        await until(lambda: len(stack.log("participant_joined", room=room)) == 2)
        async with stack.joining(room, "guest", microphone=False) as guest:
            for _ in range(5):
                await guest.send("transcript", {"text": "I said what I never said."})
                await guest.send("session.end", {})
            await until(lambda: stack.log("participant_joined", room=room, identity="guest"))
            left = guest.joined_at
        await until(lambda: stack.log("participant_left", room=room, identity="guest"))
    record = await stack.completed(room)
    assert (record["transcript"], record["end_reason"]) == ([], "room_empty")
    refused = stack.log("message_refused", room=room)
    assert sorted((line["topic"], line["identity"], line["reason"]) for line in refused) == [
        ("session.end", None, "sender unknown"),
        ("transcript", None, "sender unknown"),
    ]
    (stay,) = [stay for stay in record["participants"] if stay["identity"] == "guest"]
    assert stay["joined_at"] == left
    assert timedelta(0) < stay["left_at"] - stay["joined_at"] < timedelta(seconds=5)


async def test_who_of_two_unseen_newcomers_sent_something_is_not_guessed_and_both_were_there(
    stack: Stack,
) -> None:
    room = new_room()
    async with stack.joining(room, "counselor-1") as counselor:
        await until(lambda: stack.log("recording_began", room=room))
        async with stack.joining(room, "student-1", microphone=False) as one:
            async with stack.joining(room, "student-2", microphone=False) as other:
                await one.send("transcript", {"text": "Which of us says this?"})
                await other.send("transcript", {"text": "And this?"})
                await asyncio.sleep(0.2)
            await stack.tell(one, "A text stream names who I am.")
            await until(lambda: stack.log("participant_left", room=room, identity="student-2"))
            await one.send("transcript", {"text": "Now I am known."})
            await until(lambda: stack.journaled("Now I am known."))
        await stack.tell(counselor, "So am I.")
    record = await stack.completed(room)
    assert [entry["text"] for entry in record["transcript"]] == [
        "A text stream names who I am.",
        "Now I am known.",
        "So am I.",
    ]
    assert {line["reason"] for line in stack.log("message_refused", room=room)} == {"sender unknown"}
    stays = {stay["identity"]: stay for stay in record["participants"]}
    assert stays.keys() == {"counselor-1", "student-1", "student-2"}
    assert stays["student-2"]["left_at"] < stays["student-1"]["left_at"]


async def test_an_agents_turn_is_taken_whatever_it_is_wrapped_in(stack: Stack) -> None:
    room = new_room()
    turn = " ".join(f"word{n}" for n in range(230))
    timed: list[dict[str, Any]] = [
        {"text": f"word{n}", "start_time": n / 2, "end_time": n / 2 + 0.4} for n in range(230)
    ]
    wrapped = json.dumps({"text": turn, "words": [one | {"confidence": 0.98765} for one in timed]})
    lines = "".join(json.dumps(one | {"text": one["text"] + " "}) + "\n" for one in timed)
    assert len(wrapped) > 16_384
    async with (
        stack.joining(room, "student-1"),
        stack.joining(room, "counselor-ai", kind="agent", microphone=False) as agent,
    ):
        await until(lambda: len(stack.log("participant_joined", room=room)) == 2)
        await agent.send("transcript", wrapped.encode())
        await until(lambda: stack.journaled(turn))
        await agent.room.local_participant.send_text(lines * 2, topic="lk.transcription")
        await until(lambda: stack.journaled(f"{turn} {turn}"))
        await agent.send("transcript", {"text": "x" * 17_000})
        await agent.room.local_participant.send_text("x" * 17_000, topic="lk.transcription")
        await until(lambda: len(stack.log("message_refused", room=room)) == 2)
    record = await stack.completed(room)
    assert [entry["text"] for entry in record["transcript"]] == [turn, f"{turn} {turn}"]
    assert {line["reason"] for line in stack.log("message_refused", room=room)} == {"text larger than 16 KiB"}
    gaps = [gap for gap in record["gaps"] if gap["reason"] == "own_words_refused"]
    assert [(gap["identity"], gap["what"]) for gap in gaps] == [("counselor-ai", "transcript")]


async def test_the_last_final_text_of_a_segment_holds(stack: Stack) -> None:
    room = new_room()
    async with (
        stack.joining(room, "student-1"),
        stack.joining(room, "counselor-ai", kind="agent", microphone=False) as agent,
    ):
        await until(lambda: stack.log("session_claimed", room=room))

        async def sends(segment_id: str, text: str) -> None:
            attributes = {"lk.segment_id": segment_id, "lk.transcription_final": "true"}
            send_text = agent.room.local_participant.send_text
            await send_text(text, topic="lk.transcription", attributes=attributes)
            await until(lambda: stack.journaled(text))

        await sends("SG_1", "I think")
        await sends("SG_2", "And then?")
        await sends("SG_1", "I think so, too.")
    transcript = (await stack.completed(room))["transcript"]
    assert [entry["text"] for entry in transcript] == ["I think so, too.", "And then?"]


async def test_words_belong_to_whose_track_they_name(stack: Stack) -> None:
    room = new_room()

    async def sends(sender: Caller, text: str, of: Caller | None, *, journaled: bool = True) -> None:
        attributes = {"lk.transcription_final": "true"}
        if of is not None:
            attributes["lk.transcribed_track_id"] = next(iter(of.room.local_participant.track_publications))
        send_text = sender.room.local_participant.send_text
        await send_text(text, topic="lk.transcription", attributes=attributes)
        if journaled:
            await until(lambda: stack.journaled(text))

    async with (
        stack.joining(room, "student-1") as student,
        stack.joining(room, "guest") as guest,
        stack.joining(room, "counselor-ai", kind="agent", microphone=False) as agent,
        stack.joining(
            room, "avatar", kind="agent", attributes={"lk.publish_on_behalf": "counselor-ai"}
        ) as avatar,
        stack.joining(room, "scribe", kind="agent", microphone=False) as scribe,
    ):
        await until(lambda: len(stack.log("participant_joined", room=room)) == 5)
        await until(lambda: stack.hears(room, 3))
        await sends(agent, "The avatar says this.", avatar)
        await sends(agent, "And this, too.", None)
        await sends(scribe, "The student said this.", student)
        await sends(student, "I said that myself.", student)
        await sends(guest, "The student promised me money.", student, journaled=False)
        await until(lambda: stack.log("message_refused", room=room))
    record = await stack.completed(room)
    events = await said(stack, room)
    assert [(e["identity"], e["text"], e["told"], e.get("sent_by")) for e in events] == [
        ("avatar", "The avatar says this.", "agent", "counselor-ai"),
        ("avatar", "And this, too.", "agent", "counselor-ai"),
        ("student-1", "The student said this.", "person", "scribe"),
        ("student-1", "I said that myself.", "person", None),
    ]
    assert "money" not in json.dumps(record["transcript"])
    (line,) = stack.log("message_refused", room=room)
    assert (line["identity"], line["reason"]) == ("guest", "not the sender's track")


async def said(stack: Stack, room: str) -> list[dict[str, Any]]:
    """The own words in a room's journal, in the order in which they came."""
    async with connected(stack.dsn) as connection:
        rows = await connection.fetch(
            "select data from session_events join sessions using (session_id) where room_name = $1"
            " and kind = 'UtteranceHeard' and data ->> 'source' = 'data' and data ->> 'text' <> ''"
            " order by seq",
            room,
        )
    return [json.loads(row["data"]) for row in rows]


async def test_speech_without_own_words_is_heard_after_all(stack: Stack) -> None:
    room, silent = new_room(), sentence("0890")
    async with (
        stack.joining(room, "student-1") as student,
        stack.joining(room, "counselor-ai", kind="agent") as agent,
    ):
        await until(lambda: stack.hears(room, 2))
        await agent.send("transcript", {"text": "Good morning."})
        await until(lambda: stack.journaled("Good morning."))
        await agent.say(silent)  # and its recogniser has died
        spoken = datetime.now(UTC)
        await until(lambda: stack.log("utterance_recognised", room=room, identity="counselor-ai"))
        waited = datetime.now(UTC) - spoken
        await agent.say(sentence("0920"))
        await until(lambda: len(stack.log("utterance_recognised", room=room)) >= 2, within=20)
        await student.send("session.end", {})
        await student.wait_for_message("session.saved", 60)
    transcript = (await stack.completed(room))["transcript"]
    heard = [e for e in transcript if e["identity"] == "counselor-ai" and e["source"] == "whisper"]
    words = " ".join(entry["text"] for entry in heard)
    assert word_error_rate([silent.words, sentence("0920").words], [words]) < 0.3
    assert timedelta(seconds=20) < waited < timedelta(seconds=50)


async def test_who_ends_a_session_finds_an_agents_last_words_in_it(stack: Stack) -> None:
    room, last = new_room(), sentence("0890")
    async with (
        stack.joining(room, "student-1") as student,
        stack.joining(room, "counselor-ai", kind="agent") as agent,
    ):
        await until(lambda: stack.hears(room, 2))
        await agent.send("transcript", {"text": "Good morning."})
        await until(lambda: stack.journaled("Good morning."))
        await agent.say(last)
        asked = datetime.now(UTC)
        await student.send("session.end", {})
        await student.wait_for_message("session.saved", 60)
        assert datetime.now(UTC) - asked < timedelta(seconds=20)
        record = await stack.record(room)
        assert record is not None
    heard = [e["text"] for e in record["transcript"] if e["source"] == "whisper"]
    assert word_error_rate([last.words], heard) < 0.3


async def test_a_person_is_heard_whatever_they_send(stack: Stack) -> None:
    room, spoken = new_room(), sentence("0890")
    async with stack.joining(room, "student-1") as student:
        await until(lambda: stack.hears(room, 1))
        await stack.tell(student, "Something else altogether.")
        await student.say(spoken)
        await until(lambda: stack.log("utterance_recognised", room=room))
    transcript = (await stack.completed(room))["transcript"]
    heard = " ".join(entry["text"] for entry in transcript if entry["source"] == "whisper")
    assert word_error_rate([spoken.words], [heard]) < 0.3
    assert "Something else altogether." in [entry["text"] for entry in transcript]


async def test_times_that_a_sender_claims_are_no_earlier_than_they_came(stack: Stack) -> None:
    room = new_room()
    async with stack.joining(room, "student-1") as student:
        await until(lambda: stack.hears(room, 1))
        long_ago = student.joined_at - timedelta(seconds=20)
        await student.send("transcript", {"text": "Before I came.", "timestamp": long_ago.isoformat()})
        await until(lambda: stack.journaled("Before I came."))
        joined_at = student.joined_at
    (entry,) = (await stack.completed(room))["transcript"]
    assert datetime.fromisoformat(entry["timestamp"]) == joined_at


async def test_a_flood_is_refused_once_and_a_gap(stack: Stack) -> None:
    room = new_room()
    async with (
        stack.joining(room, "student-1"),
        stack.joining(room, "guest", microphone=False) as guest,
    ):
        await until(lambda: len(stack.log("participant_joined", room=room)) == 2)
        for number in range(150):
            await guest.send("transcript", {"text": f"{number} " + "x" * 16_000})
        await until(lambda: stack.log("message_refused", room=room))
    record = await stack.completed(room)
    reasons = {line["reason"] for line in stack.log("message_refused", room=room)}
    assert "more words than a sender may send" in reasons
    assert len(stack.log("message_refused", room=room)) == len(reasons)
    assert 3 <= len(record["transcript"]) < 10
    (gap,) = [gap for gap in record["gaps"] if gap["reason"] == "own_words_refused"]
    assert gap["identity"] == "guest"
    assert gap["from"] <= gap["until"]


async def test_a_thousand_ends_have_one_answer_and_a_later_one_another(stack: Stack) -> None:
    room = new_room()
    async with stack.joining(room, "student-1") as student:
        await until(lambda: stack.hears(room, 1))
        for _ in range(1000):
            await student.send("session.end", {})
        await student.wait_for_message("session.saved", 60)
        await student.say(sentence("0890"))
        await student.send("session.end", {})
        await student.wait_for_message("session.saved", 60)
        assert len(stack.log("session_end_asked", room=room)) == 2
        answers = [message for message in student.messages if message.topic == "session.saved"]
        assert len(answers) == 2
    record = await stack.completed(room)
    assert record["end_reason"] == "ended_by_participant"
    assert record["transcript"]


async def test_streams_that_never_end_are_not_read_without_end(stack: Stack) -> None:
    room = new_room()
    async with stack.joining(room, "student-1") as student:
        await until(lambda: stack.hears(room, 1))
        writers = []
        for number in range(40):
            writer = await student.room.local_participant.stream_text(topic="lk.transcription")
            await writer.write(f"The beginning of stream {number}")
            writers.append(writer)
        await until(lambda: stack.log("message_refused", room=room))
        for writer in writers:
            await writer.aclose()
        await until(lambda: stack.journaled("The beginning of stream 15"))
        await stack.tell(student, "And one that ends.")
    transcript = (await stack.completed(room))["transcript"]
    assert len(transcript) == 17
    (line,) = stack.log("message_refused", room=room)
    assert line["reason"] == "too many streams at once"


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


@pytest.mark.parametrize(
    "measure", [own_words.streams, own_words.broken_off, own_words.early, own_words.beside]
)
async def test_words_sent_as_text_are_written_as_sent(
    measure: Callable[[Rig], Coroutine[Any, Any, list[Row]]], rig: Rig
) -> None:
    assert [row for row in await measure(rig) if not row.holds] == []
