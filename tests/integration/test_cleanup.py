"""Sessions in progress for too long, whose room is gone, are completed; a live one is left alone."""

import json
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from livekit import rtc

from agent.demo.caller import Caller
from agent.local.postgres import EmbeddedPostgres
from agent.local.sfu import Sfu
from agent.session.events import ParticipantJoined, UtteranceHeard
from agent.session.fold import fold
from agent.session.rooms import SessionInfo
from bench.stack import PROJECT, connected, new_room, running_stack, until, worker_environment
from db import sessions
from db.lease import Lease, claim
from db.pool import Pool
from tests.integration.web_client import Web, finished, serving

LONG_AGO = datetime.now(UTC).replace(microsecond=0) - timedelta(hours=3)
OF_A_DEAD_RECORDER = "gone+1-abc"


async def left_behind(pool: Pool, room_name: str, began: datetime) -> UUID:
    """A session whose recorder died after somebody had said something."""
    info = SessionInfo(UUID(room_name.removeprefix("coaching-")), room_name, f"RM_{uuid4().hex}")
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


def clean_up(
    sfu: Sfu, dsn: str, folder: Path, event: str = "abandoned_session_completed"
) -> list[dict[str, object]]:
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
    return [line for line in lines if line["event"] == event]


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


async def opened(web: Web, user_id: UUID) -> dict[str, Any]:
    """A session as its student's client begins it."""
    answer = await web.user(user_id).post("/api/sessions", json={"counselor_category": "college"})
    assert answer.status_code == 201
    return dict(answer.json())


async def test_a_session_that_nobody_entered_goes_away_and_nothing_else_does(
    sfu: Sfu, dsn: str, pool: Pool, tmp_path: Path
) -> None:
    user_id = uuid4()
    async with serving(dsn, sfu) as web:
        unused, told_of, saved, ended, begun, entered = [await opened(web, user_id) for _ in range(6)]
        await pool.execute(
            "update sessions set created_at = now() - interval '11 minutes',"
            " updated_at = now() - interval '11 minutes'"
        )
        young = await opened(web, user_id)
        client = web.user(user_id)
        join = {"sessionId": told_of["session_id"], "userId": str(user_id), "name": "Sam"}
        assert (await client.post("/api/coaching/participants", json=join)).status_code == 201
        told = finished(UUID(saved["session_id"]))
        assert (await client.post("/api/sessions/save", json=told)).status_code < 300
        on = {"status": "in_progress"}
        assert (await client.patch(f"/api/sessions/{begun['session_id']}", json=on)).status_code == 200
        over = {"status": "completed"}
        assert (await client.patch(f"/api/sessions/{ended['session_id']}", json=over)).status_code == 200
        caller = Caller.joining(sfu.url, sfu.api_key, sfu.api_secret, entered["room_name"], "student-1")
        async with caller:
            (line,) = clean_up(sfu, dsn, tmp_path, "cleaned_up")
        assert line["removed"] == 1
        assert (await client.get(f"/api/sessions/{unused['session_id']}")).status_code == 404
        for kept in (told_of, saved, ended, begun, entered, young):
            assert (await client.get(f"/api/sessions/{kept['session_id']}")).status_code == 200


@pytest.mark.slow
async def test_a_worker_ends_what_nobody_else_ends(
    sfu_of_its_own: Sfu, postgres_of_its_own: EmbeddedPostgres, whisper_url: str, tmp_path: Path
) -> None:
    sfu, postgres, user_id = sfu_of_its_own, postgres_of_its_own, uuid4()
    told = uuid4()
    async with serving(postgres.dsn, sfu) as web, connected(postgres.dsn) as connection:
        unused = await opened(web, user_id)
        await connection.execute(
            "insert into sessions (session_id, room_name, mode, status, start_time, updated_at) values"
            " ($1, 'coaching-x', 'video', 'in_progress', $2, now() + interval '1 second')",
            told,
            LONG_AGO,
        )
        session_id = UUID(unused["session_id"])
        with running_stack(sfu, postgres, whisper_url, tmp_path, RECORDER_UNUSED_AFTER="1") as stack:
            one = "select status, user_id, counselor_category from sessions where session_id = $1"
            await until(lambda: stack.log("cleaned_up", removed=1))
            assert await connection.fetchrow(one, session_id) is None
            (line,) = await until(lambda: stack.log("abandoned_session_completed"))
            assert line["session_id"] == str(told)

            late = rtc.Room()  # with the token from before
            await late.connect(unused["server_url"], unused["participant_token"])
            await until(lambda: stack.log("session_claimed", room=unused["room_name"]))
            row = await connection.fetchrow(one, session_id)
            assert row is not None
            assert tuple(row) == ("in_progress", user_id, "college")
            await late.disconnect()
