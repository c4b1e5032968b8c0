"""Every route, as nobody, as another user, as the owner, as staff: one table, with no route missing."""

from typing import Any, Literal
from uuid import UUID, uuid4

import httpx2
import pytest
from pydantic import SecretStr

from agent.local.sfu import Sfu
from agent.settings import Settings
from db.pool import Pool
from tests.integration.web_client import SECRET, Web, finished, serving, token
from web.app import create_app
from web.settings import WebSettings

Who = Literal["nobody", "other", "owner", "admin"]
OWNER = UUID("5b1e0a3c-93a1-4f0a-8c51-0e9f2c3d4e5f")
SESSION = UUID("0b9ec1a0-6a0e-4c57-9a43-5d2f6f1f3a10")
PARTICIPANT = UUID("7c0e7f0a-1b0f-4d0c-8a7e-3f2d1c0b9a88")
ONE = f"/api/sessions/{SESSION}"
JOIN = {"sessionId": str(SESSION), "userId": str(OWNER), "name": "Sam"}
# method, route, path, body; then the answers to nobody, another user, the owner, staff
ROUTES: list[tuple[str, str, str, Any, tuple[int, int, int, int]]] = [
    ("POST", "/api/sessions/save", "/api/sessions/save", finished(SESSION), (401, 404, 200, 200)),
    ("POST", "/api/v1/sessions/save", "/api/v1/sessions/save", finished(SESSION), (401, 404, 200, 200)),
    ("GET", "/api/sessions", "/api/sessions", None, (401, 200, 200, 200)),
    ("POST", "/api/sessions", "/api/sessions", {"room_name": f"coaching-{SESSION}"}, (401, 404, 201, 201)),
    ("GET", "/api/sessions/{session_id}", ONE, None, (401, 404, 200, 200)),
    ("PATCH", "/api/sessions/{session_id}", ONE, {"status": "completed"}, (401, 404, 200, 200)),
    (
        "GET",
        "/api/sessions/{session_id}/transcript.{form}",
        f"{ONE}/transcript.txt",
        None,
        (401, 404, 200, 200),
    ),
    ("POST", "/api/coaching/participants", "/api/coaching/participants", JOIN, (401, 404, 201, 201)),
    (
        "PATCH",
        "/api/coaching/participants",
        "/api/coaching/participants",
        {"participantId": str(PARTICIPANT)},
        (401, 404, 200, 200),
    ),
    (
        "GET",
        "/api/coaching/participants",
        f"/api/coaching/participants?sessionId={SESSION}",
        None,
        (401, 404, 200, 200),
    ),
    ("POST", "/api/admin/cleanup", "/api/admin/cleanup", None, (401, 403, 403, 200)),
    ("GET", "/api/admin/overview", "/api/admin/overview", None, (401, 403, 403, 200)),
    ("GET", "/health", "/health", None, (200, 200, 200, 200)),
    ("GET", "/metrics", "/metrics", None, (200, 200, 200, 200)),
]
PAGES = [
    ("/session-history", (401, 200, 200, 200)),
    (f"/session-history/{SESSION}", (401, 404, 200, 200)),
    ("/admin", (401, 403, 403, 200)),
]
WITHOUT_WORDS = ("/session-history", "/admin")


async def with_session(web: Web, pool: Pool) -> None:
    """The owner's session, with words in it."""
    assert (await web.user(OWNER).post("/api/sessions/save", json=finished(SESSION))).status_code == 201
    await pool.execute(
        "update sessions set owner_proof = 'opened'"
    )  # a room that is only known of is no room
    await pool.execute(
        "insert into video_participants (participant_id, session_id) values ($1, $2)", PARTICIPANT, SESSION
    )


def client(web: Web, who: Who) -> httpx2.AsyncClient:
    if who == "nobody":
        return web.client()
    return web.admin() if who == "admin" else web.user(OWNER if who == "owner" else uuid4())


def test_the_table_has_every_route() -> None:
    recorder = Settings(_env_file=None, database_url=SecretStr("postgresql://nowhere"))
    spec = create_app(WebSettings(_env_file=None, web_jwt_secret=SecretStr(SECRET)), recorder).openapi()
    told = {(method.upper(), route) for route, methods in spec["paths"].items() for method in methods}
    assert told == {(method, route) for method, route, *_ in ROUTES}


@pytest.mark.parametrize("who", ["nobody", "other", "owner", "admin"])
async def test_every_route(dsn: str, pool: Pool, sfu: Sfu, who: Who) -> None:
    place = ("nobody", "other", "owner", "admin").index(who)
    async with serving(dsn, sfu) as web:
        await with_session(web, pool)
        own = client(web, who)
        for method, _, path, body, expected in ROUTES:
            answer = await own.request(method, path, json=body)
            assert (method, path, answer.status_code) == (method, path, expected[place])
            if answer.status_code in (401, 404):
                assert "biology" not in answer.text
                assert answer.headers["content-type"] == "application/problem+json"
        listed = await own.get("/api/sessions")
        if who in ("nobody", "other"):
            assert str(SESSION) not in listed.text
        else:
            assert str(SESSION) in listed.text


@pytest.mark.parametrize("who", ["nobody", "other", "owner", "admin"])
async def test_every_page(web: Web, pool: Pool, who: Who) -> None:
    await with_session(web, pool)
    place = ("nobody", "other", "owner", "admin").index(who)
    if who == "nobody":
        reader = web.client()
    else:
        claims = {"role": "admin"} if who == "admin" else {}
        reader = await web.reader(OWNER if who == "owner" else uuid4(), **claims)
    for path, expected in PAGES:
        answer = await reader.get(path)
        assert (path, answer.status_code) == (path, expected[place])
        assert ("biology" in answer.text) == (answer.status_code == 200 and path not in WITHOUT_WORDS)
    for path in ("/session-history/changes", f"/session-history/{SESSION}/changes"):
        async with reader.stream("GET", path) as told:
            assert told.status_code == (401 if who == "nobody" else 200)


async def test_who_is_not_signed_in_is_led_to_where_they_wanted(web: Web, pool: Pool) -> None:
    await with_session(web, pool)
    browser = web.client(accept="text/html")
    asked = await browser.get(f"/session-history/{SESSION}")
    assert asked.status_code == 303
    form = await browser.get(asked.headers["location"])
    assert f'value="/session-history/{SESSION}"' in form.text
    signed = await browser.post(
        "/sign-in",
        content=f"token={token(OWNER)}&next=/session-history/{SESSION}",
        headers={"origin": web.url, "content-type": "application/x-www-form-urlencoded"},
    )
    assert (signed.status_code, signed.headers["location"]) == (303, f"/session-history/{SESSION}")
    cookie = signed.headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=lax" in cookie
    assert "biology" in (await browser.get(f"/session-history/{SESSION}")).text
    out = await browser.post("/sign-out", headers={"origin": web.url})
    assert out.status_code == 303
    assert (await browser.get(f"/session-history/{SESSION}")).status_code == 303


async def test_over_https_the_cookie_is_secure_and_for_this_host_alone(dsn: str) -> None:
    async with serving(dsn, web_public_url="https://sessions.example.org") as web:
        signed = await web.client().get("/sign-in", params={"token": token(OWNER)})
        cookie = signed.headers["set-cookie"]
        assert cookie.startswith("__Host-session=")
        assert "; Secure" in cookie
        assert "max-age" in signed.headers["strict-transport-security"]


@pytest.mark.parametrize("to", ["//evil.example", "https://evil.example", "/\\evil.example", "/a\nb"])
async def test_signing_in_leads_nowhere_else(web: Web, to: str) -> None:
    signed = await web.client().get("/sign-in", params={"token": token(OWNER), "next": to})
    assert signed.headers["location"] == "/session-history"


async def test_a_cookie_changes_nothing_for_another_sites_page(web: Web, pool: Pool) -> None:
    await with_session(web, pool)
    reader = await web.reader(OWNER)
    elsewhere = {"origin": "https://evil.example", "sec-fetch-site": "cross-site"}
    for headers in (elsewhere, {"origin": "null"}, {"sec-fetch-site": "same-site"}, {}):
        for method, path, body in (
            ("PATCH", ONE, {"status": "in_progress"}),
            ("POST", "/api/sessions/save", finished(SESSION)),
        ):
            refused = await reader.request(method, path, json=body, headers=headers)
            assert refused.status_code == 403
        assert (await reader.post("/sign-out", headers=headers)).status_code == 403
    ours = {"origin": web.url, "sec-fetch-site": "same-origin"}
    assert (await reader.patch(ONE, json={"status": "in_progress"}, headers=ours)).status_code == 200


async def test_links_that_sign_in_can_be_switched_off(dsn: str) -> None:
    async with serving(dsn, web_sign_in_links=False) as web:
        asked = await web.client().get("/sign-in", params={"token": token(OWNER)})
        assert "set-cookie" not in asked.headers


async def test_pages_run_no_script_and_fetch_nothing_that_is_not_ours(web: Web, pool: Pool) -> None:
    await with_session(web, pool)
    reader = await web.reader(OWNER)
    for path in ("/session-history", f"/session-history/{SESSION}", "/sign-in"):
        page = await reader.get(path)
        policy = page.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert " style=" not in page.text
        assert " onclick=" not in page.text
        assert "<script>" not in page.text
        assert 'src="http' not in page.text
        assert 'href="http' not in page.text


async def test_a_token_for_livekit_opens_the_room_of_the_session_alone(dsn: str, sfu: Sfu) -> None:
    import jwt

    async with serving(dsn, sfu) as web:
        me = web.user(OWNER)
        entered = await me.post("/api/sessions", json={"participant_name": "Sam", "mode": "voice"})
        assert entered.status_code == 201
        told = entered.json()
        assert told["server_url"] == sfu.url
        claims = jwt.decode(told["participant_token"], sfu.api_secret, algorithms=["HS256"])
        assert claims["video"]["room"] == told["room_name"] == f"coaching-{told['session_id']}"
        assert not claims["video"].get("roomAdmin")
        assert claims["attributes"] == {"role": "student", "user_id": str(OWNER)}
        listed = (await me.get(f"/api/sessions/{told['session_id']}")).json()
        assert (listed["status"], listed["mode"]) == ("in_progress", "voice")
        for wrong, field in (
            ({"room_config": {}}, "room_config"),
            ({"participant_identity": "counselor-1"}, "participant_identity"),
            ({"participant_attributes": {"role": "counselor"}}, "participant_attributes.role"),
        ):
            refused = await me.post("/api/sessions", json=wrong)
            assert (refused.status_code, refused.json()["errors"][0]["field"]) == (422, field)
        assert (await me.post("/api/sessions")).status_code == 201  # no body at all
        assert (await me.post("/api/sessions", json={"room_name": "lobby"})).status_code == 404


async def test_without_livekit_there_is_no_room_to_enter(web: Web) -> None:
    assert (await web.user().post("/api/sessions", json={})).status_code == 503
    assert (await web.admin().post("/api/admin/cleanup")).status_code == 503
