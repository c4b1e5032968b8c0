"""The main job: two people talk over a real SFU, and the record says who, when, what and how well."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from statistics import median
from typing import Any

import httpx2
import pytest

from agent.demo.script import Line
from bench.speech import FOLDER, WORDS, plain, word_error_rate
from bench.stack import Stack
from tests.integration.conversation import Conversation

SPEAKERS = {"student-1": "user", "counselor-1": "counselor"}


def heard_of(conversation: Conversation, line: Line) -> list[dict[str, Any]]:
    """The transcript's entries of the line's speaker in its time."""
    return [
        entry
        for entry in conversation.record["transcript"]
        if entry["identity"] == line.identity
        and datetime.fromisoformat(entry["timestamp"]) < line.end
        and datetime.fromisoformat(entry["end"]) > line.begin
    ]


def test_the_session_is_complete(conversation: Conversation) -> None:
    record = conversation.record
    assert record["room_name"] == conversation.room
    assert record["mode"] == "video"
    assert record["end_reason"] == "ended_by_participant"
    assert record["start_time"] == min(p["joined_at"] for p in record["participants"])
    assert record["end_time"] == max(p["left_at"] for p in record["participants"])
    assert record["duration_seconds"] == int((record["end_time"] - record["start_time"]).total_seconds())


def test_nobody_ever_saw_the_recorder(conversation: Conversation) -> None:
    assert conversation.seen == {"student-1", "counselor-1"}


def test_stays_have_livekits_own_times(conversation: Conversation) -> None:
    stays = {stay["identity"]: stay for stay in conversation.record["participants"]}
    assert set(stays) == {"student-1", "counselor-1"}
    assert {stay["role"] for stay in stays.values()} == {"student", "counselor"}
    for identity, stay in stays.items():
        assert stay["joined_at"] == conversation.joined_at[identity]
        assert abs(stay["left_at"] - conversation.left_at[identity]) < timedelta(seconds=0.5)


def test_every_utterance_has_its_speaker(conversation: Conversation) -> None:
    for entry in conversation.record["transcript"]:
        assert entry["speaker"] == SPEAKERS[entry["identity"]]
        assert entry["source"] == "whisper"
    for line in conversation.lines:
        heard = " ".join(entry["text"] for entry in heard_of(conversation, line))
        assert word_error_rate([line.words], [heard]) < 0.35, f"{line.words!r} was heard as {heard!r}"


async def test_words_are_as_right_as_the_model_can(conversation: Conversation, whisper_url: str) -> None:
    raw = [await transcribe(whisper_url, name) for name in WORDS]
    ours = [entry["text"] for line in conversation.lines for entry in heard_of(conversation, line)]
    said = [line.words for line in conversation.lines]
    of_raw_files, through_the_room = word_error_rate(WORDS.values(), raw), word_error_rate(said, ours)
    assert through_the_room <= of_raw_files + 0.02


def test_utterances_begin_when_their_words_were_played(conversation: Conversation) -> None:
    late = [
        (datetime.fromisoformat(heard_of(conversation, line)[0]["timestamp"]) - line.begin).total_seconds()
        for line in conversation.lines
    ]
    assert median(abs(seconds) for seconds in late) <= 0.3, late
    assert max(abs(seconds) for seconds in late) <= 0.6, late


def test_readings_are_ten_seconds_apart(conversation: Conversation) -> None:
    by_track: dict[str, list[datetime]] = {}
    for reading in conversation.record["readings"]:
        by_track.setdefault(reading["track_sid"], []).append(reading["read_at"])
    assert len(by_track) == 4
    for times in by_track.values():
        # The last one is cut short by the leave.
        apart = [(later - earlier).total_seconds() for earlier, later in pairwise(times[:-1])]
        assert apart, "the conversation was too short"
        assert all(abs(seconds - 10) <= 0.5 for seconds in apart), apart


def test_readings_agree_with_what_the_publisher_sent(conversation: Conversation) -> None:
    compared = 0
    for reading in conversation.record["readings"]:
        if reading["source"] != "camera" or reading["read_at"] > conversation.saved_at:
            continue
        began = reading["read_at"] - timedelta(seconds=10)
        earlier, later = conversation.sent_between(reading["track_sid"], began, reading["read_at"])
        assert reading["bitrate_kbps"] == pytest.approx(later.kbps_since(earlier), rel=0.05)
        assert reading["fps"] == pytest.approx(later.fps_since(earlier), abs=1)
        compared += 1
    assert compared >= 2


def test_readings_are_whole(conversation: Conversation) -> None:
    common = {"bitrate_kbps", "packets_lost", "packets_received", "jitter_ms", "round_trip_ms"}
    of_video = common | {"fps", "width", "height"}
    sources = set()
    for reading in conversation.record["readings"]:
        sources.add(reading["source"])
        needed = of_video if reading["source"] == "camera" else common
        assert not [name for name in needed if reading[name] is None], reading
        assert reading["leg"] == "sfu_to_recorder"
    assert sources == {"camera", "microphone"}


def test_averages_are_those_of_the_readings(conversation: Conversation) -> None:
    metrics = conversation.record["quality_metrics"]
    readings = conversation.record["readings"]
    cameras = [r for r in readings if r["source"] == "camera"]
    assert metrics["total_readings"] == len(readings)
    assert min(r["fps"] for r in cameras) <= metrics["average_fps"] <= max(r["fps"] for r in cameras)
    bitrates = [r["bitrate_kbps"] for r in cameras]
    assert min(bitrates) <= metrics["average_bitrate"] <= max(bitrates)
    assert metrics["packet_loss_percentage"] == 0
    assert metrics["connection_quality_average"] == "excellent"
    assert set(metrics["participants"]) == {"student-1", "counselor-1"}


def test_the_ledger_accounts_for_everything_that_was_said(conversation: Conversation) -> None:
    coverage = conversation.record["coverage"]
    for identity, ledger in coverage["participants"].items():
        heard = [entry for entry in conversation.record["transcript"] if entry["identity"] == identity]
        spans = [[datetime.fromisoformat(entry[key]) for key in ("timestamp", "end")] for entry in heard]
        with_words = sum((e - b).total_seconds() for b, e in spans)
        assert with_words <= ledger["transcribed"] + 0.001 < with_words + 0.5  # a breath has none
        assert ledger["transcribed"] == ledger["speech"]
        assert ledger["speech"] < ledger["heard"] < ledger["audible"] <= ledger["present"]
        assert set(ledger["missed"]) <= {"recorder_joined_late", "subscribing"}
    assert 0.8 < coverage["share"] < 1


def test_a_gap_says_from_when_to_when_nobody_listened(conversation: Conversation) -> None:
    gaps = conversation.record["gaps"]
    assert sorted(gap["identity"] for gap in gaps) == ["counselor-1", "student-1"]
    for gap in gaps:
        begin, until = datetime.fromisoformat(gap["from"]), datetime.fromisoformat(gap["until"])
        assert conversation.joined_at[gap["identity"]] <= begin < until
        first_words = next(line.begin for line in conversation.lines if line.identity == gap["identity"])
        assert until < first_words + timedelta(seconds=0.3)


def test_the_answer_to_session_end_names_the_session(conversation: Conversation) -> None:
    assert conversation.saved == {
        "session_id": conversation.room.removeprefix("coaching-"),
        "message": "Session saved to your history",
    }


def test_session_end_is_answered_soon_after_the_last_words_are_known(
    conversation: Conversation, stack: Stack
) -> None:
    recognised = stack.log("utterance_recognised", room=conversation.room)
    last = max(datetime.fromisoformat(line["timestamp"]) for line in recognised)
    asked = conversation.ended_at
    assert conversation.saved_at - max(last, asked) < timedelta(seconds=2)


def test_no_word_is_in_the_log(conversation: Conversation, stack: Stack) -> None:
    logged = plain(stack.worker.log.read_text())
    for line in conversation.lines:
        words = line.words.split()
        for start in range(len(words) - 3):
            assert " ".join(words[start : start + 4]) not in logged


def test_every_line_of_the_session_names_it(conversation: Conversation) -> None:
    ours = [line for line in conversation.log if line["logger"].startswith("agent.")]
    of_job = [line for line in ours if not line["event"].startswith("recorder_started_for")]  # the worker's
    assert of_job
    assert {line["session_id"] for line in of_job} == {conversation.room.removeprefix("coaching-")}
    assert len([line for line in of_job if line["event"] == "session_finished"]) == 1


async def transcribe(base_url: str, name: str) -> str:
    async with httpx2.AsyncClient(timeout=120) as client:
        answer = await client.post(
            f"{base_url}/audio/transcriptions",
            files={"file": ("speech.flac", (FOLDER / f"{name}.flac").read_bytes())},
            data={"model": "whisper-1", "language": "en"},
        )
    return str(answer.raise_for_status().json()["text"])


def test_the_record_is_in_utc(conversation: Conversation) -> None:
    assert conversation.record["start_time"].tzinfo == UTC
    for entry in conversation.record["transcript"]:
        assert entry["timestamp"].endswith("Z")
        assert entry["end"] > entry["timestamp"]
