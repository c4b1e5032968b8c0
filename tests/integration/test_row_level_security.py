"""What PostgreSQL itself shows the web part: one user's sessions, also to a query that forgets to say so."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, nullcontext
from datetime import UTC, datetime, timedelta
from typing import Any, get_args
from uuid import UUID, uuid4

import asyncpg
import pytest

from agent.local.postgres import EmbeddedPostgres
from agent.session.ownership import CLAIMED, Proof
from db import attendance, client_saves, history
from db.pool import Connection, Pool, migrate, open_pool
from db.viewer import Viewer, may_act, seen_by

TEN = datetime(2026, 3, 1, 10, 0, tzinfo=UTC)
TABLES = ["sessions", "video_participants", "quality_readings", "session_events"]


def told(session_id: UUID, text: str = "hello") -> client_saves.Told:
    words = [{"speaker": "user", "text": text, "timestamp": TEN.isoformat()}]
    end = TEN + timedelta(minutes=1)
    return client_saves.Told(session_id, "coaching-x", "video", TEN, end_time=end, transcript=words)


async def with_a_session(pool: Pool) -> tuple[Viewer, UUID]:
    """Somebody with a session that has a row in every table."""
    viewer, session_id = Viewer(uuid4()), uuid4()
    assert await client_saves.save(pool, viewer, viewer.user_id, told(session_id))
    await attendance.join(pool, viewer, session_id, viewer.user_id, "Sam")
    await pool.execute(
        "insert into quality_readings (session_id, read_at, identity, track_sid, source, leg) "
        "values ($1, now(), 'student', 'TR_1', 'camera', 'sfu_to_recorder')",
        session_id,
    )
    await pool.execute("insert into session_events values ($1, 0, now(), 'SessionEnded', '{}')", session_id)
    return viewer, session_id


@pytest.mark.parametrize("table", TABLES)
async def test_a_query_without_a_where_clause_sees_ones_own_alone(pool: Pool, table: str) -> None:
    one, own = await with_a_session(pool)
    await with_a_session(pool)
    everything = f"select session_id from {table}"
    async with seen_by(pool, one) as connection:
        assert [row["session_id"] for row in await connection.fetch(everything)] == [own]
    async with seen_by(pool, Viewer(uuid4())) as connection:
        assert await connection.fetch(everything) == []
    async with seen_by(pool, Viewer(uuid4(), admin=True)) as connection:
        assert len(await connection.fetch(everything)) == 2
    assert len(await pool.fetch(everything)) == 2  # recorders see all of it


async def test_without_a_user_the_role_sees_nothing(pool: Pool) -> None:
    await with_a_session(pool)
    async with pool.acquire() as connection, connection.transaction():
        await connection.execute("set local role coaching_web")
        assert await connection.fetch("select * from sessions") == []


async def test_nobody_writes_into_anothers_session_nor_gives_theirs_away(pool: Pool) -> None:
    _, anothers = await with_a_session(pool)
    me, mine = await with_a_session(pool)
    async with seen_by(pool, me) as connection:
        assert await connection.execute("update sessions set counselor_category = 'x'") == "UPDATE 1"
    for sql, argument in (
        ("insert into video_participants (session_id) values ($1)", anothers),
        ("update sessions set user_id = gen_random_uuid() where session_id = $1", mine),
        ("update sessions set lease_epoch = 9 where session_id = $1", mine),
        ("update video_participants set participant_sid = 'PA_x' where session_id = $1", mine),
        ("delete from sessions where session_id = $1", mine),
        ("update session_events set seq = 7 where session_id = $1", mine),
    ):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            async with seen_by(pool, me) as connection:
                await connection.execute(sql, argument)
    assert await client_saves.save(pool, me, me.user_id, told(anothers)) is None


async def test_what_only_livekit_can_prove_is_no_clients_to_claim(pool: Pool) -> None:
    me = Viewer(uuid4())
    begin = (
        "insert into sessions (session_id, room_name, mode, status, start_time, user_id, owner_proof)"
        " values (gen_random_uuid(), 'x', 'video', 'in_progress', now(), $1, $2)"
    )
    for proof in get_args(Proof):
        refused: Any = (
            nullcontext() if proof in CLAIMED else pytest.raises(asyncpg.InsufficientPrivilegeError)
        )
        with refused:
            async with seen_by(pool, me) as connection:
                await connection.execute(begin, me.user_id, proof)


async def test_search_finds_ones_own_by_index_also_where_another_says_ones_id(pool: Pool) -> None:
    me, mine = await with_a_session(pool)
    other = Viewer(uuid4())
    await client_saves.save(pool, other, other.user_id, told(uuid4(), f"hellos {me.user_id}"))
    for words in ("hello", "hel", f"hello {me.user_id}", '"hello"'):
        found = await history.page(pool, me, history.Wanted(10, words=words))
        assert [row["session_id"] for row in found.sessions] in ([mine], [])
    assert [row["line"]["text"] for row in (await _search(pool, me, "hello")).sessions] == ["hello"]
    assert (await _search(pool, me, "hel")).sessions == []  # too short to be a beginning
    assert len((await _search(pool, other, "hello")).sessions) == 1  # the beginning of "hellos"
    assert len((await _search(pool, Viewer(uuid4(), admin=True), "hello")).sessions) == 2
    assert (await _search(pool, me, "'; drop table sessions --")).sessions == []
    assert (await _search(pool, me, "!?")).sessions == []
    async with pool.acquire() as connection:
        await connection.execute("set enable_seqscan = off")
        plan = await connection.fetch("explain select 1 from sessions where words @@ 'hello'::tsquery")
    assert "sessions_of_words" in str(plan)


async def _search(pool: Pool, viewer: Viewer, words: str) -> history.Page:
    return await history.page(pool, viewer, history.Wanted(10, words=words))


async def test_saving_never_fails_for_want_of_an_index(pool: Pool) -> None:
    me, session_id = Viewer(uuid4()), uuid4()
    endless = " ".join(uuid4().hex for _ in range(60_000))
    assert await client_saves.save(pool, me, me.user_id, told(session_id, endless))
    assert (await _search(pool, me, endless.split()[0])).sessions[0]["session_id"] == session_id


async def test_a_user_who_may_create_roles_needs_nothing_else(postgres: EmbeddedPostgres) -> None:
    async with _database_of(postgres, "createrole") as (dsn, own):
        await migrate(dsn)
        await migrate(dsn)
        pool = await open_pool(dsn)
        assert await may_act(pool)
        await pool.close()
        async with own.transaction():
            await own.execute("set local role coaching_web")
            assert await own.fetch("select * from sessions") == []


async def test_a_user_who_may_not_still_records(postgres: EmbeddedPostgres) -> None:
    async with _database_of(postgres, "nocreaterole") as (dsn, own):
        await migrate(dsn)
        pool = await open_pool(dsn)
        assert not await may_act(pool)
        await pool.close()
        await own.execute(
            "insert into sessions (session_id, room_name, mode, status, start_time) "
            "values (gen_random_uuid(), 'r', 'voice', 'in_progress', now())"
        )
        assert await own.fetchval("select count(*) from sessions") == 1


@asynccontextmanager
async def _database_of(server: EmbeddedPostgres, right: str) -> AsyncIterator[tuple[str, Connection]]:
    """A database of a user who is no superuser, on a server where nobody made the role before."""
    name = f"plain_{right}"
    admin = await asyncpg.connect(server.dsn)
    others = [r["datname"] for r in await admin.fetch("select datname from pg_database where datallowconn")]
    await _forget_role(server, others)
    await admin.execute(f"create role {name} login {right}")
    await admin.execute(f"create database {name} owner {name}")
    dsn = server.dsn.replace("/postgres?", f"/{name}?").replace("postgres@", f"{name}@")
    own = await asyncpg.connect(dsn)
    try:
        yield dsn, own
    finally:
        await own.close()
        await admin.execute(f"drop database {name} with (force)")
        if await admin.fetchval("select true from pg_roles where rolname = 'coaching_web'"):
            await admin.execute("drop role coaching_web")
        await admin.execute(f"drop role {name}")
        await admin.close()
        await migrate(server.dsn)


async def _forget_role(server: EmbeddedPostgres, databases: list[str]) -> None:
    for database in databases:
        if database == "template1":
            continue
        connection = await asyncpg.connect(server.dsn.replace("/postgres?", f"/{database}?"))
        if await connection.fetchval("select true from pg_roles where rolname = 'coaching_web'"):
            await connection.execute("drop owned by coaching_web cascade")
        await connection.close()
    admin = await asyncpg.connect(server.dsn)
    await admin.execute("drop role if exists coaching_web")
    await admin.close()
