"""A database that has a table `sessions` already: adopted with its rows, or left as it is with one line."""

import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeAlias
from uuid import UUID, uuid4

import asyncpg
import pytest
from livekit.api import CreateRoomRequest, LiveKitAPI

from agent.abandoned import complete_abandoned
from agent.local.postgres import EmbeddedPostgres
from agent.local.sfu import Sfu
from agent.session.events import ParticipantJoined, ParticipantLeft, SessionEnded
from agent.session.rooms import SessionInfo
from agent.turns import add_to_session
from bench.stack import connected, new_room, running_stack, until
from db import fleet, sessions
from db.pool import migrate, open_pool
from tests.integration.test_cli import agent
from tests.integration.web_client import finished, serving

Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record]"

# As a platform made it before there was a recorder.
PLATFORM = """
create table users (user_id uuid primary key);
create table counselor_categories (category_id uuid primary key, name text);
create table sessions (
    session_id UUID PRIMARY KEY,
    user_id UUID REFERENCES users(user_id),
    counselor_category UUID REFERENCES counselor_categories(category_id),
    mode VARCHAR(10) CHECK (mode IN ('voice', 'video')),
    start_time TIMESTAMP,
    end_time TIMESTAMP,
    duration_seconds INTEGER,
    transcript JSONB,
    quality_metrics JSONB,
    created_at TIMESTAMP DEFAULT NOW()
);
create table feedback (session_id uuid references sessions (session_id), stars integer);
"""
USER, CATEGORY = UUID(int=1), UUID(int=2)
TEN = datetime(2025, 12, 20, 10, 0, tzinfo=UTC)
WHOLE: dict[str, Any] = {
    "mode": "video",
    "start_time": "2025-12-20 10:00:00",
    "end_time": "2025-12-20 10:23:45",
    "duration_seconds": 1425,
    "transcript": [
        {"speaker": "counselor", "text": "Tell me more.", "timestamp": "2025-12-20T10:00:20.000Z"},
        {"speaker": "user", "text": "I need help", "timestamp": "2025-12-20T10:00:12.5"},
    ],
    "quality_metrics": {
        "average_bitrate": "812.50",
        "average_fps": "24.10",
        "packet_loss_percentage": "133.33",
        "connection_quality_average": "good",
        "total_readings": 142,
    },
    "created_at": "2025-12-20 10:23:46",
}


@pytest.fixture
async def platform(dsn: str) -> AsyncIterator[Connection]:
    """The platform's own connection to a database in which the recorder has nothing yet."""
    connection = await asyncpg.connect(dsn, server_settings={"timezone": "America/New_York"})
    await connection.execute("drop schema public cascade; create schema public")
    yield connection
    await connection.close()


async def insert(connection: Connection, **row: Any) -> UUID:
    session_id = uuid4()
    row = {"session_id": session_id, "user_id": USER, "counselor_category": CATEGORY, **row}
    await connection.execute(
        "insert into sessions select * from jsonb_populate_record(null::sessions, $1::text::jsonb)",
        json.dumps(row, default=str),
    )
    return session_id


async def platform_with(connection: Connection, **row: Any) -> UUID:
    await connection.execute(PLATFORM)
    await connection.execute("insert into users values ($1)", USER)
    await connection.execute("insert into counselor_categories values ($1, 'College')", CATEGORY)
    return await insert(connection, **row)


async def shape(connection: Any, schema: str = "public") -> list[Any]:
    """Everything that tells one table from another."""
    return list(
        await connection.fetch(
            "select table_name, column_name, data_type, is_nullable, column_default"
            " from information_schema.columns where table_schema = $1 order by 1, 2",
            schema,
        )
    )


async def test_a_platforms_sessions_are_kept_as_finished_ones(dsn: str, platform: Connection) -> None:
    session_id = await platform_with(platform, **WHOLE)
    done = await migrate(dsn)
    assert done[0] == "adopted the table `sessions` that was there, with 1 finished sessions"
    assert [line.split(":")[0] for line in done[1:]] == [
        "dropped its constraint sessions_counselor_category_fkey",
        "dropped its constraint sessions_mode_check",
        "dropped its constraint sessions_user_id_fkey",
    ]
    async with await open_pool(dsn) as pool:
        record = await sessions.load_record(pool, session_id)
    assert record is not None
    assert (record["status"], record["end_reason"]) == ("completed", "told_by_client")
    assert (record["room_name"], record["mode"]) == (f"coaching-{session_id}", "video")
    assert (record["user_id"], record["counselor_category"]) == (USER, str(CATEGORY))
    assert (record["start_time"], record["end_time"]) == (TEN, TEN + timedelta(minutes=23, seconds=45))
    assert record["created_at"] == TEN + timedelta(minutes=23, seconds=46)
    assert record["duration_seconds"] == 1425
    assert record["transcript"] == [
        {
            "speaker": "user",
            "text": "I need help",
            "timestamp": "2025-12-20T10:00:12.500Z",
            "end": "2025-12-20T10:00:12.500Z",
            "identity": "user",
            "source": "data",
        },
        {
            "speaker": "counselor",
            "text": "Tell me more.",
            "timestamp": "2025-12-20T10:00:20.000Z",
            "end": "2025-12-20T10:00:20.000Z",
            "identity": "counselor",
            "source": "data",
        },
    ]
    assert record["owner_proof"] == "opened"
    assert record["client_record"][str(USER)]["transcript"] == record["transcript"]
    assert record["quality_metrics"] == {
        "average_bitrate": 812.5,
        "average_fps": 24.1,
        "packet_loss_percentage": 100,
        "connection_quality_average": "good",
        "total_readings": 142,
    }


async def test_a_row_of_which_little_is_known_is_kept_too(dsn: str, platform: Connection) -> None:
    nothing = await platform_with(platform, created_at="2025-12-20 10:00:00")
    begun = await insert(platform, mode="voice", start_time="2025-12-20 10:00:00", duration_seconds=60)
    odd = await insert(
        platform,
        user_id=None,
        counselor_category=None,
        mode="voice",
        start_time="2025-12-20 10:00:00",
        end_time="2025-12-20 09:00:00",
        transcript=[
            "words",
            {"speaker": "user", "text": "  "},
            {"speaker": "Student", "text": " One ", "timestamp": 1766224830000},
            {"speaker": None, "text": "Two", "timestamp": "soon"},
            {"speaker": "user", "text": "Three", "timestamp": "2025-12-20"},
        ],
        quality_metrics={"average_bitrate": "NaN", "average_fps": -1, "participants": [1], "codec": "vp8"},
    )
    await migrate(dsn)
    async with await open_pool(dsn) as pool:
        records = [await sessions.load_record(pool, which) for which in (nothing, begun, odd)]
    first, second, third = (record for record in records if record is not None)
    assert (first["mode"], first["start_time"], first["end_time"]) == ("video", TEN, TEN)
    assert (first["duration_seconds"], first["transcript"], first["quality_metrics"]) == (0, [], {})
    assert second["end_time"] == TEN + timedelta(minutes=1)
    assert (third["end_time"], third["duration_seconds"]) == (TEN, 0)
    said = [(entry["speaker"], entry["text"], entry["timestamp"]) for entry in third["transcript"]]
    assert said == [
        ("user", "One", "2025-12-20T10:00:30.000Z"),
        ("participant", "Two", "2025-12-20T10:00:30.000Z"),
        ("user", "Three", "2025-12-20T10:00:30.000Z"),
    ]
    assert third["quality_metrics"] == {
        "average_bitrate": None,
        "average_fps": None,
        "packet_loss_percentage": None,
        "connection_quality_average": "unknown",
        "total_readings": 0,
        "codec": "vp8",
    }


async def test_what_was_adopted_is_the_table_that_a_new_database_has(dsn: str, platform: Connection) -> None:
    await migrate(dsn)
    fresh = await shape(platform)
    checks = (
        "select pg_get_constraintdef(oid) from pg_constraint where conrelid = 'sessions'::regclass order by 1"
    )
    fresh_checks = await platform.fetch(checks)
    await platform.execute("drop schema public cascade; create schema public")
    await platform_with(platform, **WHOLE)
    await migrate(dsn)
    of_platform = {"users", "counselor_categories", "feedback"}
    assert [row for row in await shape(platform) if row["table_name"] not in of_platform] == fresh
    assert await platform.fetch(checks) == fresh_checks


async def test_migrating_again_changes_nothing(dsn: str, platform: Connection) -> None:
    session_id = await platform_with(platform, **WHOLE)
    await migrate(dsn)
    row = await platform.fetchrow("select * from sessions where session_id = $1", session_id)
    assert await migrate(dsn) == []
    assert await platform.fetchrow("select * from sessions where session_id = $1", session_id) == row


async def test_a_recorder_and_the_web_part_work_on_an_adopted_table(dsn: str, platform: Connection) -> None:
    session_id = await platform_with(platform, **WHOLE)
    await migrate(dsn)
    await work_on(dsn)
    async with serving(dsn) as web:
        (shown,) = (await web.user(USER).get("/api/sessions")).json()["sessions"]
        assert (shown["session_id"], shown["status"]) == (str(session_id), "completed")
        page = await (await web.reader(USER)).get(f"/session-history/{session_id}")
        assert "I need help" in page.text
        found = await web.user(USER).get("/api/sessions", params={"q": "help"})
        assert [one["session_id"] for one in found.json()["sessions"]] == [str(session_id)]
        fuller = finished(session_id, start_time="2025-12-20T10:00:00Z", end_time="2025-12-20T10:23:45Z")
        assert (await web.user(USER).post("/api/sessions/save", json=fuller)).status_code < 300
    await platform.execute("insert into feedback values ($1, 5)", session_id)


async def work_on(dsn: str) -> None:
    """What a recorder, a worker and a client write, of a user whom the platform's table does not have."""
    async with await open_pool(dsn) as pool:
        info = SessionInfo(uuid4(), "coaching-new", "RM_new", uuid4(), "college", "video")
        joined = ParticipantJoined(
            at=TEN, identity="student-1", participant_sid="PA_1", name="Sam", role="student"
        )
        left = ParticipantLeft(at=TEN + timedelta(seconds=60), identity="student-1", participant_sid="PA_1")
        ended = SessionEnded(at=left.at, reason="room_empty")
        await add_to_session(pool, info, TEN, [joined, left, ended])
        assert (await sessions.load_record(pool, info.session_id) or {})["duration_seconds"] == 60
        assert await fleet.beat(pool, "worker", 0, ready=True) == []
        assert not await complete_abandoned(pool, uuid4())
    async with serving(dsn) as web:
        user_id = uuid4()
        assert (await web.user(user_id).post("/api/sessions/save", json=finished())).status_code < 300
        assert len((await web.user(user_id).get("/api/sessions")).json()["sessions"]) == 1
        assert (await web.client().get("/health")).status_code in (200, 503)


@pytest.mark.parametrize(
    ("table", "why"),
    [
        pytest.param("create table sessions (id serial, started_at timestamp)", "sessions", id="other"),
        pytest.param("create view sessions as select 1 as session_id", "sessions", id="view"),
        pytest.param(PLATFORM + "create view v as select mode from sessions", "0A000", id="used by a view"),
        pytest.param(
            PLATFORM.replace("UUID PRIMARY KEY", "UUID UNIQUE").replace(
                "transcript JSONB", "id serial primary key"
            ),
            "primary key is not session_id",
            id="other key",
        ),
        pytest.param(
            PLATFORM.replace("transcript JSONB", "school text not null"),
            "school must be given",
            id="more needed",
        ),
        pytest.param(
            PLATFORM.replace("transcript JSONB", "unique (user_id, start_time)"), "is unique", id="unique"
        ),
        pytest.param(PLATFORM.replace("start_time TIMESTAMP", "start_time BIGINT"), "42846", id="type"),
        pytest.param(
            PLATFORM.replace("CHECK (mode IN ('voice', 'video'))", "")
            + "insert into sessions (session_id, mode) values (gen_random_uuid(), 'chat')",
            "sessions_mode_check",
            id="rows that we would refuse",
        ),
        pytest.param(
            PLATFORM.replace("transcript JSONB", "status text"), "sessions", id="a status of its own"
        ),
        pytest.param("create table workers (id serial primary key, name text)", "workers", id="workers"),
        pytest.param(
            "create table video_participants (participant_id uuid, session_id uuid, name text)",
            "video_participants",
            id="participants",
        ),
    ],
)
async def test_what_cannot_be_adopted_is_left_as_it_is_with_one_line_that_says_what_to_do(
    dsn: str, platform: Connection, table: str, why: str
) -> None:
    await platform.execute(table)
    before = await shape(platform)
    refused = agent("migrate", DATABASE_URL=dsn)
    assert refused.returncode == 2
    (line,) = refused.stderr.splitlines()
    assert why in line
    assert "create schema coaching" in line
    assert await shape(platform) == before


async def test_beside_a_table_that_stays_the_recorder_has_a_schema_of_its_own(
    dsn: str, platform: Connection
) -> None:
    await platform_with(platform, **WHOLE)
    before = await shape(platform)
    own = dsn + "&options=-csearch_path%3Dcoaching"
    refused = agent("migrate", DATABASE_URL=own)
    assert (refused.returncode, len(refused.stderr.splitlines())) == (2, 1)
    assert "create schema" in refused.stderr
    await platform.execute("create schema coaching")
    for _ in range(2):
        done = agent("migrate", DATABASE_URL=own)
        assert (done.returncode, done.stderr.strip()) == (0, "the database is up to date")
    await work_on(own)
    assert await platform.fetchval("select count(*) from coaching.sessions") == 2
    assert await shape(platform) == before


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://nobody-here@/postgres?host=/nowhere",
        "postgresql://user:secret@127.0.0.1:port/database",
        "postgresql://user:secret@127.0.0.1:99999/database",
        "mysql://user:secret@127.0.0.1/database",
        "postgresql://user:secret@[::1/database",
        "not a url",
    ],
)
def test_a_database_that_cannot_be_reached_is_one_line_without_its_password(url: str) -> None:
    refused = agent("migrate", DATABASE_URL=url)
    assert refused.returncode == 2
    (line,) = refused.stderr.splitlines()
    assert "DATABASE_URL" in line
    assert "secret" not in line


async def test_a_database_or_user_that_is_not_there_is_one_line(dsn: str) -> None:
    for wrong in (dsn.replace("/test_", "/no_test_"), dsn.replace("postgres@", "nobody@")):
        refused = agent("migrate", DATABASE_URL=wrong)
        assert refused.returncode == 2
        (line,) = refused.stderr.splitlines()
        assert "DATABASE_URL" in line


async def test_a_user_who_may_not_make_tables_is_told_so(dsn: str, platform: Connection) -> None:
    await platform.execute("drop role if exists guest_of_migrate; create role guest_of_migrate login")
    await platform.execute("grant usage on schema public to public")
    refused = agent("migrate", DATABASE_URL=dsn.replace("postgres@", "guest_of_migrate@"))
    await platform.execute("drop role guest_of_migrate")
    assert refused.returncode == 2
    (line,) = refused.stderr.splitlines()
    assert "InsufficientPrivilegeError" in line


@pytest.mark.slow
@pytest.mark.parametrize("schema", ["public", "coaching"])
async def test_a_worker_records_beside_or_in_what_was_there(
    sfu_of_its_own: Sfu, postgres_of_its_own: EmbeddedPostgres, whisper_url: str, tmp_path: Path, schema: str
) -> None:
    postgres, room = postgres_of_its_own, new_room()
    async with connected(postgres.dsn) as connection:
        await connection.execute("drop schema public cascade; create schema public")
        await platform_with(connection, **WHOLE)
        await connection.execute(f"create schema if not exists {schema}")
    dsn = f"{postgres.dsn}&options=-csearch_path%3D{schema}"
    await migrate(dsn)
    with running_stack(sfu_of_its_own, postgres, whisper_url, tmp_path, DATABASE_URL=dsn) as stack:
        metadata = json.dumps({"user_id": str(uuid4())})  # whom the platform's table does not have
        async with LiveKitAPI(stack.sfu.url, stack.sfu.api_key, stack.sfu.api_secret) as livekit:
            await livekit.room.create_room(CreateRoomRequest(name=room, metadata=metadata))
        async with stack.joining(room, "student-1", microphone=False) as student:
            await until(lambda: stack.log("session_claimed", room=room))
            await student.send("transcript", {"text": "Written down."})
            await until(lambda: journaled(dsn, "Written down."))
        await until(lambda: stack.log("session_finished", room=room))
    async with await open_pool(dsn) as pool:
        record = await sessions.load_record(pool, UUID(room.removeprefix("coaching-")))
        assert await pool.fetchval("select count(*) from sessions") == (2 if schema == "public" else 1)
    assert record is not None
    assert record["status"] == "completed"
    assert [entry["text"] for entry in record["transcript"]] == ["Written down."]


async def journaled(dsn: str, text: str) -> bool:
    async with connected(dsn) as connection:
        return bool(
            await connection.fetchval(
                "select exists (select from session_events where data ->> 'text' = $1)", text
            )
        )
