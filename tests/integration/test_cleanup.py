"""Sessions in progress for too long, whose room is gone, are completed; a live one is left alone."""

import json
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID, uuid4

from agent.demo.caller import Caller
from agent.local.sfu import Sfu
from agent.session.events import ParticipantJoined, UtteranceHeard
from agent.session.fold import fold
from agent.session.rooms import SessionInfo
from bench.stack import PROJECT, new_room, worker_environment
from db import sessions
from db.lease import Lease, claim
from db.pool import Pool

LONG_AGO = datetime.now(UTC).replace(microsecond=0) - timedelta(hours=3)
OF_A_DEAD_RECORDER = "gone+1-abc"


async def left_behind(pool: Pool, room_name: str, began: datetime) -> UUID:
    """A session whose recorder died after somebody had said something."""
    info = SessionInfo(UUID(room_name.removeprefix("coaching-")), room_name, "RM_gone")
    joined = ParticipantJoined(
        at=began, identity="student-1", participant_sid="PA_1", name="Sam", role="student"
    )
    words_end = began + timedelta(seconds=65)
    heard = UtteranceHeard(
        at=began + timedelta(seconds=60), end=words_end, identity="student-1", text="Hello.", source="whisper"
    )
    lease = await claim(pool, info, began, OF_A_DEAD_RECORDER)
    assert isinstance(lease, Lease)
    async with pool.acquire() as connection:
        what = sessions.changes(fold(info, [joined, heard]), [joined, heard], finished=False)
        await sessions.write(connection, what, 0, lease=lease)
    await pool.execute(
        "update sessions set lease_expires_at = $2 where session_id = $1", info.session_id, words_end
    )
    return info.session_id


def clean_up(sfu: Sfu, dsn: str, folder: Path) -> list[dict[str, object]]:
    environment = dict(worker_environment(sfu, dsn, "http://127.0.0.1:9/v1", folder))
    ran = subprocess.run(
        [sys.executable, "-m", "agent", "cleanup"],
        env={**environment, "PATH": "/usr/bin:/bin"},
        cwd=PROJECT,
        capture_output=True,
        text=True,
        check=True,
    )
    lines = [json.loads(line) for line in ran.stderr.splitlines() if line.startswith("{")]
    return [line for line in lines if line["event"] == "abandoned_session_completed"]


async def test_a_stale_session_ends_with_its_last_evidence(
    sfu: Sfu, dsn: str, pool: Pool, tmp_path: Path
) -> None:
    session_id = await left_behind(pool, new_room(), LONG_AGO)
    (line,) = clean_up(sfu, dsn, tmp_path)
    assert line["session_id"] == str(session_id)
    record = await sessions.load_record(pool, session_id)
    assert record is not None
    assert (record["status"], record["end_reason"]) == ("completed", "recorder_lost")
    assert record["end_time"] == LONG_AGO + timedelta(seconds=65)
    assert record["duration_seconds"] == 65
    assert record["participants"][0]["left_at"] == record["end_time"]
    assert [entry["text"] for entry in record["transcript"]] == ["Hello."]
    assert clean_up(sfu, dsn, tmp_path) == []


async def test_what_is_not_stale_or_has_its_room_is_left_alone(
    sfu: Sfu, dsn: str, pool: Pool, tmp_path: Path
) -> None:
    young = await left_behind(pool, new_room(), datetime.now(UTC) - timedelta(hours=1))
    room = new_room()
    async with Caller.joining(sfu.url, sfu.api_key, sfu.api_secret, room, "student-1", microphone=False):
        alive = await left_behind(pool, room, LONG_AGO)
        assert clean_up(sfu, dsn, tmp_path) == []
    for session_id in (young, alive):
        record = await sessions.load_record(pool, session_id)
        assert record is not None
        assert record["status"] == "in_progress"


async def test_a_session_that_only_a_client_told_of_is_completed_too(
    sfu: Sfu, dsn: str, pool: Pool, tmp_path: Path
) -> None:
    session_id = uuid4()
    await pool.execute(
        "insert into sessions (session_id, room_name, mode, status, start_time) values ($1, 'coaching-x', "
        "'video', 'in_progress', $2)",
        session_id,
        LONG_AGO,
    )
    clean_up(sfu, dsn, tmp_path)
    record = await sessions.load_record(pool, session_id)
    assert record is not None
    assert (record["status"], record["end_time"]) == ("completed", LONG_AGO)
