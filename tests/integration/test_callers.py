"""The callers that everything else is tested with: do they say what they are told, when they claim to?"""

import asyncio
import json
import os
import signal
import sys
from contextlib import AbstractAsyncContextManager, aclosing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from time import monotonic
from typing import Any
from uuid import uuid4

import numpy as np
import pytest
from livekit import rtc

from agent.demo.caller import Caller
from agent.demo.lines import FOLDER, load
from agent.demo.microphone import MicrophoneClosedError, Spoken
from agent.demo.sfu_api import create_room, who_is_there
from agent.demo.speech import Samples, Speech, onset
from agent.local.sfu import Sfu
from bench.stack import until

RATE = 48_000
LATENCY_ALLOWED = timedelta(seconds=0.3)


@dataclass
class Meeting:
    """A room that the recorder does not care for."""

    sfu: Sfu
    room_name: str

    def joining(self, identity: str, **options: object) -> AbstractAsyncContextManager[Caller]:
        place = (self.sfu.url, self.sfu.api_key, self.sfu.api_secret, self.room_name)
        return Caller.joining(*place, identity, **options)  # type: ignore[arg-type]


@pytest.fixture
def meeting(sfu: Sfu) -> Meeting:
    return Meeting(sfu, f"callers-{uuid4()}")


async def published(caller: Caller, kind: str, seen_by: Caller) -> Any:
    """The other's end of this track, as soon as it is there."""
    publications = caller.room.local_participant.track_publications.values()
    sid = next(p.sid for p in publications if p.name == kind)
    return await until(lambda: _subscriptions(seen_by.room).get(sid))


def _subscriptions(room: rtc.Room) -> dict[str, rtc.RemoteTrack]:
    publications = (p for one in room.remote_participants.values() for p in one.track_publications.values())
    return {p.sid: p.track for p in publications if p.track}


async def hear(track: rtc.RemoteAudioTrack, seconds: float) -> list[tuple[datetime, Samples]]:
    """Frames of 10 ms as they come, each with its arrival, until this many seconds of them are heard."""
    frames = []
    stream = rtc.AudioStream.from_track(track=track, sample_rate=RATE, num_channels=1)
    async with aclosing(stream):
        async for event in stream:
            frames.append((datetime.now(UTC), np.frombuffer(event.frame.data, np.int16).copy()))
            if len(frames) * 0.01 >= seconds:
                break
    return frames


def first_heard(frames: list[tuple[datetime, Samples]]) -> datetime:
    """When the first audible sample arrived."""
    silence = onset(np.concatenate([samples for _, samples in frames]), RATE)
    assert silence is not None
    return frames[int(silence / 0.01)][0]


async def test_a_listener_hears_speech_when_the_speaker_says_it_began(meeting: Meeting) -> None:
    speech = load("thanks")
    async with (
        meeting.joining("listener", microphone=False) as listener,
        meeting.joining("speaker") as speaker,
    ):
        track = await published(speaker, "microphone", seen_by=listener)
        hearing = asyncio.create_task(hear(track, speech.duration + 1))
        spoken = await speaker.say(speech)
        heard = first_heard(await hearing)
    assert spoken.end - spoken.begin == timedelta(seconds=speech.audible)
    assert timedelta(0) < heard - spoken.begin < LATENCY_ALLOWED


async def test_two_speeches_of_one_caller_follow_each_other(meeting: Meeting) -> None:
    async with meeting.joining("speaker") as speaker:
        first, second = await asyncio.gather(speaker.say(load("essay")), speaker.say(load("thanks")))
    assert first.end < second.begin < first.end + timedelta(seconds=0.5)


async def test_callers_see_each_other_and_their_messages(meeting: Meeting) -> None:
    async with (
        meeting.joining("student-1", role="student", microphone=False) as student,
        meeting.joining("counselor-1", microphone=False) as counselor,
    ):
        await until(lambda: student.seen)
        await student.send("notes", {"text": "Hello"})
        await student.send("notes", b"\xff not JSON")
        first = await counselor.wait_for_message("notes", timeout=5)
        second = await counselor.wait_for_message("notes", timeout=5)
        with pytest.raises(TimeoutError):
            await student.wait_for_message("notes", timeout=0.1)
        assert counselor.room.remote_participants["student-1"].attributes["role"] == "student"
    assert (student.seen, counselor.seen) == ({"counselor-1"}, {"student-1"})
    assert [first.payload, second.payload] == [{"text": "Hello"}, b"\xff not JSON"]
    assert [m.topic for m in counselor.messages] == ["notes", "notes"]


async def test_joined_at_is_what_livekit_lists(meeting: Meeting) -> None:
    place = (meeting.sfu.url, meeting.sfu.api_key, meeting.sfu.api_secret, meeting.room_name)
    room_sid = await create_room(*place, {"mode": "voice"})
    async with meeting.joining("student-1", microphone=False) as student:
        listed = await who_is_there(*place)
        assert [(s.participant_sid, s.joined_at) for s in listed] == [(student.sid, student.joined_at)]
        assert await student.room.sid == room_sid
        assert json.loads(student.room.metadata) == {"mode": "voice"}


async def test_a_camera_sends_as_many_pictures_as_it_says(meeting: Meeting) -> None:
    async with meeting.joining("student-1", camera=True, camera_size=(320, 180), fps=20) as student:
        await asyncio.sleep(2)  # the encoder's start is no steady rate
        before = {figures.source: figures for figures in (await student.outbound_stats()).values()}
        shown, since = student.pictures_shown, monotonic()
        await asyncio.sleep(4)
        after = {figures.source: figures for figures in (await student.outbound_stats()).values()}
        fps = (student.pictures_shown - shown) / (monotonic() - since)  # 20, unless the machine is busy
    assert before.keys() == {"microphone", "camera"}
    assert after["camera"].fps_since(before["camera"]) == pytest.approx(fps, abs=1)
    assert fps <= 20.5
    assert after["camera"].kbps_since(before["camera"]) == pytest.approx(115, rel=0.5)
    assert (after["camera"].width, after["camera"].height) == (320, 180)


async def test_a_muted_camera_shows_nothing(meeting: Meeting) -> None:
    async with (
        meeting.joining("watcher", microphone=False) as watcher,
        meeting.joining("student-1", microphone=False, camera=True) as student,
    ):
        await published(student, "camera", seen_by=watcher)
        muted, unmuted = asyncio.Event(), asyncio.Event()
        watcher.room.on("track_muted", lambda *_: muted.set())
        watcher.room.on("track_unmuted", lambda *_: unmuted.set())
        async with asyncio.timeout(10):
            student.mute("camera")
            await muted.wait()
            student.unmute("camera")
            await unmuted.wait()


async def test_leaving_leaves_nothing_behind(meeting: Meeting) -> None:
    before = asyncio.all_tasks()
    async with meeting.joining("student-1", camera=True) as student:
        interrupted = asyncio.create_task(student.say(load("list")))
        await asyncio.sleep(0)  # let it begin
        await student.leave()
        await student.leave()
        with pytest.raises(MicrophoneClosedError):
            await interrupted
        assert asyncio.all_tasks() == before
    assert student.left_at is not None


async def test_one_who_comes_back_has_another_stay(meeting: Meeting) -> None:
    sids = []
    for _ in range(2):
        async with meeting.joining("student-1") as student:
            sids.append(student.sid)
    assert sids[0] != sids[1]


async def test_a_caller_is_a_program_too(meeting: Meeting) -> None:
    sfu = {
        "LIVEKIT_URL": meeting.sfu.url,
        "LIVEKIT_API_KEY": meeting.sfu.api_key,
        "LIVEKIT_API_SECRET": meeting.sfu.api_secret,
    }
    where = ["--room", meeting.room_name, "--identity", "student-1", "--say", str(FOLDER / "essay.ogg")]
    program = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "agent.demo.caller",
        *where,
        env={**os.environ, **sfu},
        stdout=asyncio.subprocess.PIPE,
    )
    assert program.stdout is not None
    async with asyncio.timeout(30):
        joined, said = [json.loads(await program.stdout.readline()) for _ in range(2)]
        program.send_signal(signal.SIGTERM)
        left = json.loads(await program.stdout.readline())
        assert await program.wait() == 0
    assert [joined["happening"], said["happening"], left["happening"]] == ["joined", "said", "left"]
    spoken = Spoken(*(datetime.fromisoformat(said[key]) for key in ("begin", "end")))
    assert datetime.fromisoformat(joined["joined_at"]) < spoken.begin < spoken.end


def test_speech_notes_its_silence_and_keeps_it_at_any_rate() -> None:
    tone = (10_000 * np.sin(np.arange(16_000) * 0.2)).astype(np.int16)
    samples = np.concatenate([np.zeros(8_000, np.int16), tone, np.zeros(4_000, np.int16)])
    speech = Speech.of(samples, 16_000, "beep").at(RATE)
    assert (speech.lead, speech.tail) == pytest.approx((0.5, 0.25))
    assert (speech.duration, speech.audible) == pytest.approx((1.75, 1.0))
    assert onset(speech.samples, RATE) == pytest.approx(0.5, abs=0.01)
