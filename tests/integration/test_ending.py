"""The end of a room: whatever hangs on the way, the session is saved and let go of."""

import asyncio
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast
from uuid import uuid4

import pytest
from livekit import api, rtc
from livekit.agents import AutoSubscribe, JobContext
from structlog.testing import capture_logs

from agent import room as room_module
from agent import transcription
from agent.demo.caller import Caller
from agent.demo.sfu_api import create_room, token
from agent.local.sfu import Sfu
from agent.recorder import Recorder
from agent.room import RoomRecording
from agent.session.rooms import SessionInfo
from agent.settings import Settings
from bench.stack import new_room, until
from db.pool import Pool
from tests.integration.whisper_answers import Whisper


class Job:
    """What LiveKit's framework gives a recording of a room."""

    def __init__(self, sfu: Sfu, name: str, sid: str) -> None:
        self.room = rtc.Room()
        self.job = SimpleNamespace(room=SimpleNamespace(name=name, sid=sid, metadata=""))
        self.api = api.LiveKitAPI(sfu.url, sfu.api_key, sfu.api_secret)
        self._sfu = sfu

    async def connect(self, *, encryption: rtc.E2EEOptions | None, auto_subscribe: AutoSubscribe) -> None:
        assert (encryption, auto_subscribe) == (None, AutoSubscribe.SUBSCRIBE_ALL)
        key, secret = self._sfu.api_key, self._sfu.api_secret
        admission = token(key, secret, self.job.room.name, "recorder", "", "", {}, "agent")
        await self.room.connect(self._sfu.url, admission, rtc.RoomOptions(auto_subscribe=True))

    def shutdown(self, reason: str) -> None:
        raise AssertionError(reason)


async def never() -> None:
    await asyncio.Event().wait()


async def deaf_to_everything() -> None:
    """Work that does not end when it is told to."""
    while True:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            if asyncio.get_running_loop().time() > stubborn_until[0]:
                raise


stubborn_until = [0.0]


@pytest.mark.parametrize(
    "hanging", ["_text_streams", "_session_end", "_kept", "_quality", "_transcription", "an ear", "_answers"]
)
@pytest.mark.parametrize("work", [never, deaf_to_everything])
async def test_a_step_that_hangs_keeps_no_session_from_being_saved(
    sfu_of_its_own: Sfu, pool: Pool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, hanging: str, work: Any
) -> None:
    stubborn_until[0] = asyncio.get_running_loop().time() + 30
    monkeypatch.setattr(room_module, "STEP_SECONDS", 0.3)
    monkeypatch.setattr(transcription, "CLOSE_SECONDS", 0.3)
    sfu, name, session_id = sfu_of_its_own, new_room(), uuid4()
    sid = await create_room(sfu.url, sfu.api_key, sfu.api_secret, name, {})
    job = Job(sfu, name, sid)
    recorder = Recorder(SessionInfo(session_id, name, sid), pool, tmp_path)
    settings = Settings(_env_file=None, recorder_transcription_grace=0, recorder_spool_dir=tmp_path)
    recording = RoomRecording(cast("JobContext", job), recorder, Whisper(), settings, pool)
    async with Caller.joining(sfu.url, sfu.api_key, sfu.api_secret, name, "student-1"):
        assert await recording.begin()
        await until(recording._transcription._listening_ears)
    await until(lambda: not recorder.session.present)
    if hanging == "an ear":
        recording._transcription._listening.start(work())
    elif hanging == "_answers":
        recording._answers.start(work())
    else:
        monkeypatch.setattr(getattr(recording, hanging), "close", lambda *_: work())
    with capture_logs() as logs:
        await asyncio.wait_for(recording.end(), 20)
    row = await pool.fetchrow("select status, lease_owner from sessions where session_id = $1", session_id)
    assert row is not None
    assert (row["status"], row["lease_owner"]) == ("completed", None)
    cancelled = hanging == "_answers" and work is never  # in its own time
    assert sum(line["event"] == "step_hangs" for line in logs) == (not cancelled)
    stubborn_until[0] = 0.0
    await job.room.disconnect()
    await job.api.aclose()
