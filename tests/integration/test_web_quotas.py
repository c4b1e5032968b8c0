"""How much one user may have: over several processes, and only that user."""

import asyncio
from uuid import UUID, uuid4

from agent.local.sfu import Sfu
from db.pool import Pool
from db.queries import queries
from db.quotas import JOINS_AN_HOUR, OPEN_AT_ONCE, OPENED_AN_HOUR
from tests.integration.web_client import finished, serving

SAM = UUID("5b1e0a3c-93a1-4f0a-8c51-0e9f2c3d4e5f")


async def test_a_user_opens_so_many_sessions_that_nobody_joins_and_no_more(
    dsn: str, pool: Pool, sfu: Sfu
) -> None:
    async with serving(dsn, sfu) as web, serving(dsn, sfu) as elsewhere:
        clients = [web.user(SAM), elsewhere.user(SAM)]
        answers = await asyncio.gather(
            *(clients[n % 2].post("/api/sessions") for n in range(4 * OPEN_AT_ONCE))
        )
        opened = [answer for answer in answers if answer.status_code == 201]
        refused = [answer for answer in answers if answer.status_code == 429]
        assert (len(opened), len(refused)) == (OPEN_AT_ONCE, 3 * OPEN_AT_ONCE)
        assert await pool.fetchval("select count(*) from sessions") == OPEN_AT_ONCE
        assert int(refused[0].headers["retry-after"]) > 0
        assert refused[0].headers["content-type"] == "application/problem+json"
        assert "PATCH status completed" in refused[0].json()["detail"]
        # To enter one of them again is no new session, others are not concerned, and ending one makes room.
        assert (await web.user().post("/api/sessions")).status_code == 201
        again = {"room_name": opened[0].json()["room_name"]}
        assert (await clients[0].post("/api/sessions", json=again)).status_code == 201
        one = f"/api/sessions/{opened[0].json()['session_id']}"
        assert (await clients[0].patch(one, json={"status": "completed"})).status_code == 200
        assert (await clients[1].post("/api/sessions")).status_code == 201
        assert (await clients[1].post("/api/sessions")).status_code == 429


async def test_a_session_that_somebody_joined_does_not_count_as_waiting(
    dsn: str, pool: Pool, sfu: Sfu
) -> None:
    async with serving(dsn, sfu) as web:
        me = web.user(SAM)
        for _ in range(OPEN_AT_ONCE):
            await me.post("/api/sessions")
        assert (await me.post("/api/sessions")).status_code == 429
        await pool.execute("update sessions set lease_epoch = 1")
        assert (await me.post("/api/sessions")).status_code == 201


async def test_a_user_opens_so_many_sessions_an_hour(dsn: str, pool: Pool, sfu: Sfu) -> None:
    async with serving(dsn, sfu) as web:
        me = web.user(SAM)
        await pool.execute(
            "insert into sessions (session_id, room_name, user_id, mode, status, start_time) "
            "select gen_random_uuid(), 'r', $1, 'video', 'completed', now() - interval '50 minutes' "
            "from generate_series(1, $2)",
            SAM,
            OPENED_AN_HOUR,
        )
        refused = await me.post("/api/sessions")
        assert refused.status_code == 429
        assert 0 < int(refused.headers["retry-after"]) <= 600
        await pool.execute("update sessions set start_time = start_time - interval '11 minutes'")
        assert (await me.post("/api/sessions")).status_code == 201


async def test_staff_open_as_many_as_their_platform_needs(dsn: str, sfu: Sfu) -> None:
    async with serving(dsn, sfu) as web:
        platform = web.admin()
        answers = [await platform.post("/api/sessions") for _ in range(OPEN_AT_ONCE + 1)]
        assert {answer.status_code for answer in answers} == {201}


async def test_clients_tell_of_so_many_participants_in_one_session(dsn: str) -> None:
    async with serving(dsn) as web:
        me, told = web.user(SAM), finished()
        await me.post("/api/sessions/save", json=told)

        async def join(person: UUID) -> int:
            body = {"sessionId": told["session_id"], "userId": str(person), "name": "Sam"}
            return (await me.post("/api/coaching/participants", json=body)).status_code

        answers = await asyncio.gather(*(join(uuid4()) for _ in range(JOINS_AN_HOUR + 20)))
        assert (answers.count(201), answers.count(429)) == (JOINS_AN_HOUR, 20)
        listed = await me.get("/api/coaching/participants", params={"sessionId": told["session_id"]})
        assert len(listed.json()) == JOINS_AN_HOUR


async def test_a_counselors_sessions_count_as_theirs_before_a_student_comes(dsn: str, sfu: Sfu) -> None:
    async with serving(dsn, sfu) as web:
        counselor = web.user(SAM, role="counselor")
        answers = [await counselor.post("/api/sessions") for _ in range(OPEN_AT_ONCE + 1)]
        assert [answer.status_code for answer in answers] == [201] * OPEN_AT_ONCE + [429]


async def test_counting_goes_by_index(pool: Pool) -> None:
    await pool.execute(
        "insert into sessions (session_id, room_name, user_id, counselor_id, mode, status, start_time) "
        "select gen_random_uuid(), 'r', gen_random_uuid(), gen_random_uuid(), 'video', 'completed', now() "
        "from generate_series(1, 20000)"
    )
    await pool.execute(
        "insert into video_participants (session_id) select session_id from sessions, generate_series(1, 2)"
    )
    await pool.execute("analyze sessions")
    await pool.execute("analyze session_viewers")
    await pool.execute("analyze video_participants")
    body = await pool.fetchval("select prosrc from pg_proc where proname = 'openings_of_viewer'")
    one = await pool.fetchrow("select session_id, user_id from sessions limit 1")
    assert one is not None
    openings = body.replace("viewer_id()", f"'{one['user_id']}'::uuid").replace("at_most", "60")
    plan = "\n".join(row[0] for row in await pool.fetch(f"explain {openings}"))
    plan += "\n".join(
        row[0] for row in await pool.fetch(f"explain {queries['count_joins']}", one["session_id"], 60)
    )
    assert "Seq Scan" not in plan
    for index in ("session_viewers_newest", "sessions_of_counselor", "video_participants_by_session"):
        assert index in plan
