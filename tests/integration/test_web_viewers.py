"""Who sees and may do what: every kind of viewer at every call and page, generated from one table."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any, Literal, get_args
from uuid import UUID, uuid4

import asyncpg
import httpx2
import pytest

from agent.local.sfu import Sfu
from agent.recorder import Recorder
from agent.session.events import ParticipantJoined, ParticipantLeft, Role, SessionEnded, UtteranceHeard
from agent.session.rooms import SessionInfo
from db.pool import Pool
from tests.integration.web_client import TEN, Web, finished, serving

Kind = Literal["nobody", "stranger", "teller", "counselor_elsewhere", "counselor", "guest", "owner", "staff"]
KINDS: tuple[Kind, ...] = get_args(Kind)
USERS: dict[Kind, UUID] = {kind: UUID(int=n + 1) for n, kind in enumerate(KINDS)}
CLAIMS: dict[Kind, dict[str, Any]] = {
    "counselor_elsewhere": {"role": "counselor"},
    "counselor": {"role": "counselor"},
    "staff": {"role": "admin"},
}
SEES: tuple[Kind, ...] = ("counselor", "guest", "owner", "staff")  # who was there, whose it is, staff
SESSION = UUID("0b9ec1a0-6a0e-4c57-9a43-5d2f6f1f3a10")
TOLD_STAY = UUID("7c0e7f0a-1b0f-4d0c-8a7e-3f2d1c0b9a88")
ONE = f"/api/sessions/{SESSION}"
ROOM = {"room_name": f"coaching-{SESSION}"}
JOIN = {"sessionId": str(SESSION), "userId": str(USERS["owner"]), "name": "Sam"}
# method, path, body; the answer to who sees it (404 to others); to whom it is another although they see it
Call = tuple[str, str, Any, int, dict[Kind, int]]
NOT_OTHERS: dict[Kind, int] = {"counselor": 404, "guest": 404}
CALLS: list[Call] = [
    ("GET", ONE, None, 200, {}),
    *[("GET", f"{ONE}/transcript.{form}", None, 200, {}) for form in ("json", "txt", "vtt", "srt")],
    ("GET", f"/api/coaching/participants?sessionId={SESSION}", None, 200, {}),
    ("POST", "/api/sessions/save", finished(SESSION), 200, {}),
    ("POST", "/api/v1/sessions/save", finished(SESSION), 200, {}),
    ("PATCH", ONE, {"status": "in_progress"}, 200, {}),
    ("POST", "/api/sessions", ROOM, 201, {}),
    ("POST", "/api/coaching/participants", JOIN, 201, NOT_OTHERS),
    ("PATCH", "/api/coaching/participants", {"participantId": str(TOLD_STAY)}, 200, NOT_OTHERS),
    ("GET", f"/session-history/{SESSION}", None, 200, {}),
    ("GET", f"/video-session?session={SESSION}", None, 200, {}),
]
STAFF_ONLY = ["GET /api/admin/overview", "POST /api/admin/cleanup", "GET /admin"]
LISTS = ["/api/sessions", "/api/sessions?q=biology", "/session-history", "/session-history?q=biology"]


async def recorded(pool: Pool, spool: Path) -> None:
    """A session as a recorder writes it; one who was not in it told that they were."""
    recorder = Recorder(SessionInfo(SESSION, f"coaching-{SESSION}", "RM_x"), pool, spool)
    people: dict[Kind, Role] = {"owner": "student", "counselor": "counselor", "guest": "participant"}
    for kind, role in people.items():
        recorder.record(
            ParticipantJoined(
                at=TEN,
                identity=kind,
                participant_sid=f"PA_{kind}",
                name=kind.title(),
                role=role,
                user_id=str(USERS[kind]),
                observed=TEN,
            )
        )
    words = "I want to study biology."
    at = TEN + timedelta(seconds=3)
    recorder.record(UtteranceHeard(at=at, end=at, identity="owner", text=words, source="whisper"))
    for who in people:
        recorder.record(ParticipantLeft(at=TEN, identity=who, participant_sid=f"PA_{who}"))
    recorder.record(SessionEnded(at=TEN + timedelta(minutes=1), reason="room_empty"))
    await recorder.close()
    await pool.execute(
        "insert into video_participants (participant_id, session_id, user_id, name, left_at) "
        "values ($1, $2, $3, 'T', $4)",
        TOLD_STAY,
        SESSION,
        USERS["teller"],
        TEN,
    )


@asynccontextmanager
async def as_viewer(web: Web, kind: Kind, *, page: bool) -> AsyncIterator[httpx2.AsyncClient]:
    if kind == "nobody":
        yield web.client()
    elif page:
        yield await web.reader(USERS[kind], **CLAIMS.get(kind, {}))
    else:
        yield web.user(USERS[kind], **CLAIMS.get(kind, {}))


def expected(kind: Kind, answer: int, others: dict[Kind, int]) -> int:
    if kind == "nobody":
        return 401
    if kind in others:
        return others[kind]
    return answer if kind in SEES else 404


@pytest.mark.parametrize("kind", KINDS)
async def test_every_viewer_at_every_call_and_page(
    dsn: str, pool: Pool, sfu: Sfu, tmp_path: Path, kind: Kind
) -> None:
    await recorded(pool, tmp_path)
    async with serving(dsn, sfu) as web:
        for method, path, body, answer, others in CALLS:
            async with as_viewer(web, kind, page=not path.startswith("/api/")) as viewer:
                got = await viewer.request(method, path, json=body)
                assert (kind, method, path, got.status_code) == (
                    kind, method, path, expected(kind, answer, others),
                )  # fmt: skip
                if got.status_code in (401, 404):
                    assert "biology" not in got.text
        for path in LISTS:
            async with as_viewer(web, kind, page=not path.startswith("/api/")) as viewer:
                got = await viewer.get(path)
                assert (kind, path, str(SESSION) in got.text) == (kind, path, kind in SEES)
                assert got.status_code == (401 if kind == "nobody" else 200)
        for call in STAFF_ONLY:
            method, path = call.split()
            async with as_viewer(web, kind, page=not path.startswith("/api/")) as viewer:
                got = await viewer.request(method, path)
                assert got.status_code == {"nobody": 401, "staff": 200}.get(kind, 403), (kind, call)


@pytest.mark.parametrize("kind", KINDS[1:])
async def test_a_platform_may_show_sessions_to_their_owner_alone(
    dsn: str, pool: Pool, tmp_path: Path, kind: Kind
) -> None:
    await recorded(pool, tmp_path)
    sees = kind in ("owner", "staff")
    async with serving(dsn, web_participants_see=False) as web, as_viewer(web, kind, page=False) as viewer:
        assert (await viewer.get(ONE)).status_code == (200 if sees else 404)
        for path in LISTS[:2]:
            assert (str(SESSION) in (await viewer.get(path)).text) == sees


async def test_who_enters_is_told_who_will_read_the_record_and_whom_the_link_lets_in(
    dsn: str, sfu: Sfu
) -> None:
    for sees, also in ((True, "whoever takes part under an account of their own"), (False, "")):
        async with serving(dsn, sfu, web_participants_see=sees) as web:
            for claims, link in (
                ({}, "a counselor or staff who are signed in enter as your counselor"),
                ({"role": "counselor"}, "Its student comes by your platform"),
                ({"role": "admin"}, "leads the student whose session this is"),
            ):
                page = (await (await web.reader(uuid4(), **claims)).get("/video-session")).text
                assert ("whoever takes part" in page) == sees
                assert also in page
                assert link in page


async def test_what_staff_read_of_others_is_written_down_and_what_others_read_is_not(
    dsn: str, pool: Pool, tmp_path: Path
) -> None:
    await recorded(pool, tmp_path)
    async with serving(dsn) as web:
        async with as_viewer(web, "staff", page=False) as viewer:
            await viewer.get(f"/api/coaching/participants?sessionId={SESSION}")
        assert await pool.fetchval("delete from access_log returning what") == "read"
        for kind in ("owner", "counselor", "staff", "staff"):
            async with as_viewer(web, kind, page=False) as viewer:
                await viewer.get(ONE)
                await viewer.get(f"{ONE}/transcript.txt")
                await viewer.get("/api/sessions?q=biology")
    rows = await pool.fetch("select user_id, session_id, what from access_log order by what")
    assert [tuple(row) for row in rows] == [
        (USERS["staff"], SESSION, "read"),
        (USERS["staff"], None, "searched"),
    ]


async def test_a_counselor_enters_where_the_session_names_them_or_nobody_yet(
    dsn: str, pool: Pool, sfu: Sfu
) -> None:
    async with serving(dsn, sfu) as web:
        student, one, other = (
            web.user(),
            web.user(role="counselor"),
            web.user(role="counselor"),
        )
        opened = (await student.post("/api/sessions", json={"counselor_category": "college"})).json()
        room = {"room_name": opened["room_name"]}
        assert (await web.user().post("/api/sessions", json=room)).status_code == 404
        assert (await one.post("/api/sessions", json=room)).status_code == 201
        assert (await other.post("/api/sessions", json=room)).status_code == 404
        assert (await one.post("/api/sessions", json=room)).status_code == 201
        # Who was let in and never came keeps nobody out for long.
        await pool.execute("update sessions set counselor_named_at = now() - interval '11 minutes'")
        assert (await other.post("/api/sessions", json=room)).status_code == 201
        assert (await one.post("/api/sessions", json=room)).status_code == 404
        await pool.execute("update sessions set counselor_named_at = now() - interval '11 minutes'")
        assert (await one.post("/api/sessions", json=room)).status_code == 201
        # To enter is not yet to have been there.
        assert (await one.get(f"/api/sessions/{opened['session_id']}")).status_code == 404
        await pool.execute("update sessions set status = 'completed'")
        assert (await one.post("/api/sessions", json=room)).status_code == 404  # over, and they never came


async def test_a_counselor_who_begins_a_session_is_not_its_student(dsn: str, pool: Pool, sfu: Sfu) -> None:
    async with serving(dsn, sfu) as web:
        user_id = uuid4()
        opened = await web.user(user_id, role="counselor").post("/api/sessions", json={})
        assert opened.status_code == 201
        row = await pool.fetchrow("select user_id, counselor_id, status from sessions")
        assert row is not None
        assert tuple(row) == (None, user_id, "in_progress")


async def test_a_login_that_is_a_member_of_the_web_parts_role_cannot_hijack_the_owners_functions(
    pool: Pool, tmp_path: Path
) -> None:
    """Tables that it makes for the moment, under the names of ours, are not those that the functions use."""
    await recorded(pool, tmp_path)
    me, login = uuid4(), f"member_{uuid4().hex[:8]}"
    await pool.execute(f"create role {login} login in role coaching_web")
    member = await _connected_as(pool, login)
    try:
        await member.execute(f"select set_config('app.user_id', '{me}', false)")
        await member.execute(_HIJACK)
        await member.execute(
            "insert into pg_temp.sessions values "
            "($1, null, array[$2::uuid], $2, 'video', 'completed', now(), 'biology'), "
            "($1, $2, '{}', $2, 'video', 'in_progress', now(), 'biology')",
            SESSION,
            me,
        )
        assert (
            await member.fetch("select * from search_own_sessions('biology', null, null, null, null, 9)")
            == []
        )
        assert await member.fetch("select * from newest_sessions(null, null, null, null, 9)") == []
        assert await member.fetch(f"select * from session_for_counselor('{SESSION}', true)") == []
        await member.execute(f"select adopt_session('{SESSION}')")
        assert await member.fetch("select * from pg_temp.ran_as") == []
    finally:
        await member.close()
        await pool.execute(f"drop role {login}")
    assert await pool.fetchval("select user_id from sessions") == USERS["owner"]
    unsafe = await pool.fetch(
        "select proname from pg_proc where prosecdef and pronamespace = 'public'::regnamespace "
        "and not exists (select from unnest(proconfig) c where c = 'search_path=public, pg_temp')"
    )
    assert unsafe == []


_HIJACK = """
create temp table ran_as (who text);
create temp table sessions (session_id uuid, user_id uuid, viewers uuid[], counselor_id uuid, mode text,
                            status text, start_time timestamptz, words tsvector);
create temp view session_viewers as
    select session_id, counselor_id as user_id, start_time, true as owns from sessions;
create function pg_temp.bad() returns trigger language plpgsql as $$
begin insert into pg_temp.ran_as values (current_user); return new; end $$;
create trigger bad before update on pg_temp.sessions for each row execute function pg_temp.bad()
"""


async def _connected_as(pool: Pool, login: str) -> "asyncpg.Connection[asyncpg.Record]":
    where = await pool.fetchrow(
        "select current_setting('unix_socket_directories') as host, "
        "current_setting('port')::integer as port, current_database() as database"
    )
    assert where is not None
    return await asyncpg.connect(**where, user=login)
