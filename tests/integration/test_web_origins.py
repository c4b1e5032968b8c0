"""A platform's own pages and accounts: allowed origins, its cookie, a rewrite in between."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlencode
from uuid import UUID, uuid4

import pytest

from tests.integration.web_client import Web, finished, serving, token

APP = "https://app.example.org"
ELSEWHERE = "https://evil.example"
SAM = UUID("5b1e0a3c-93a1-4f0a-8c51-0e9f2c3d4e5f")
ASKS = {
    "access-control-request-method": "POST",
    "access-control-request-headers": "authorization,content-type",
}


@pytest.fixture
async def web(dsn: str) -> AsyncIterator[Web]:
    async with serving(dsn, web_allowed_origins=f"{APP}/,http://localhost:3000") as running:
        yield running


async def test_the_platforms_pages_may_ask_with_what_the_api_needs(web: Web) -> None:
    preflight = await web.client(origin=APP, **ASKS).options("/api/sessions/save")
    assert preflight.status_code == 200
    assert preflight.headers["access-control-allow-origin"] == APP
    assert preflight.headers["access-control-allow-credentials"] == "true"
    allowed = preflight.headers["access-control-allow-headers"].lower()
    assert {"authorization", "content-type"} <= set(allowed.split(", "))
    assert {"POST", "PATCH", "GET"} <= set(preflight.headers["access-control-allow-methods"].split(", "))
    assert "origin" in preflight.headers["vary"].lower()


@pytest.mark.parametrize(
    "origin", [ELSEWHERE, "null", f"{APP}.evil.example", "http://app.example.org", f"{APP}:8443"]
)
async def test_other_origins_may_not(web: Web, origin: str) -> None:
    preflight = await web.client(origin=origin, **ASKS).options("/api/sessions/save")
    assert preflight.status_code == 400
    assert "access-control-allow-origin" not in preflight.headers
    read = await web.user(SAM).get("/api/sessions", headers={"origin": origin})
    assert "access-control-allow-origin" not in read.headers
    assert "origin" in read.headers["vary"].lower()


async def test_where_no_origin_is_named_none_may(dsn: str) -> None:
    async with serving(dsn) as web:
        preflight = await web.client(origin=APP, **ASKS).options("/api/sessions/save")
        assert preflight.status_code == 405
        assert "access-control-allow-origin" not in preflight.headers


async def test_the_platforms_pages_read_answers_and_errors_alike(web: Web) -> None:
    me = web.user(SAM)
    answers = [
        await me.post("/api/sessions/save", json=finished(), headers={"origin": APP}),
        await me.get("/api/sessions", headers={"origin": APP}),
        await me.get(f"/api/sessions/{uuid4()}", headers={"origin": APP}),
        await me.post("/api/sessions/save", json={}, headers={"origin": APP}),
        await me.post("/api/sessions/save", content=b"x" * 5_000_000, headers={"origin": APP}),
        await web.client().get("/api/sessions", headers={"origin": APP}),
        await web.client().post("/api/sessions/save", json=finished(), headers={"origin": APP}),
    ]
    assert [answer.status_code for answer in answers] == [201, 200, 404, 422, 413, 401, 401]
    for answer in answers:
        assert answer.headers["access-control-allow-origin"] == APP
        assert "origin" in answer.headers["vary"].lower()


async def test_pages_are_for_no_other_origin_to_read(web: Web) -> None:
    reader = await web.reader(SAM)
    page = await reader.get("/session-history", headers={"origin": APP})
    assert "access-control-allow-origin" not in page.headers


async def test_with_the_cookie_the_platforms_pages_may_write_and_others_not(web: Web) -> None:
    reader = await web.reader(SAM)
    for site in ("same-site", "cross-site"):
        theirs = {"origin": APP, "sec-fetch-site": site}
        assert (await reader.post("/api/sessions/save", json=finished(), headers=theirs)).status_code == 201
        others = {"origin": ELSEWHERE, "sec-fetch-site": site}
        assert (await reader.post("/api/sessions/save", json=finished(), headers=others)).status_code == 403
    assert (await reader.post("/api/sessions/save", json=finished())).status_code == 403


@asynccontextmanager
async def rewriting(web: Web) -> AsyncIterator[str]:
    """What a platform's rewrite does (Next.js): the request goes on to us, under our own Host."""
    port = int(web.url.rpartition(":")[2])

    async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
        writer.close()

    async def forward(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        lines = [
            line for line in head.split(b"\r\n") if not line.lower().startswith((b"host:", b"connection:"))
        ]
        to_reader, to_writer = await asyncio.open_connection("127.0.0.1", port)
        to_writer.write(
            b"\r\n".join([lines[0], f"Host: 127.0.0.1:{port}".encode(), b"Connection: close", *lines[1:]])
        )
        await asyncio.gather(pump(to_reader, writer), pump(reader, to_writer), return_exceptions=True)

    server = await asyncio.start_server(forward, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


@pytest.mark.parametrize("named", [True, False])
async def test_behind_a_rewrite_the_platforms_origin_has_to_be_named(dsn: str, named: bool) -> None:
    settings: dict[str, Any] = {"web_allowed_origins": APP if named else ""}
    async with (
        serving(dsn, **settings, web_cookie_name="platform_session") as web,
        rewriting(web) as platform,
    ):
        browser = web.client(cookie=f"platform_session={token(SAM)}")
        own = {"origin": APP, "sec-fetch-site": "same-origin", "connection": "close"}
        saved = await browser.post(f"{platform}/api/sessions/save", json=finished(), headers=own)
        assert saved.status_code == (201 if named else 403)
        read = await browser.get(f"{platform}/api/sessions", headers={"connection": "close"})
        assert len(read.json()["sessions"]) == (1 if named else 0)


async def test_the_platforms_own_cookie_signs_in_and_is_left_alone(dsn: str) -> None:
    async with serving(dsn, web_cookie_name="platform_session") as web:
        browser = web.client(cookie=f"platform_session={token('user_2abc', name='Sam')}")
        own = {"origin": web.url, "sec-fetch-site": "same-origin"}
        form = own | {"content-type": "application/x-www-form-urlencoded"}
        assert "Sam" in (await browser.get("/session-history")).text
        assert (await browser.post("/api/sessions/save", json=finished(), headers=own)).status_code == 201
        link = await browser.get("/sign-in", params={"token": token(SAM)})
        pasted = await browser.post("/sign-in", content=urlencode({"token": token(SAM)}), headers=form)
        out = await browser.post("/sign-out", headers=own)
        for answer in (link, pasted, out):
            assert answer.status_code == 200
            assert "set-cookie" not in answer.headers
        assert "Sign in on your coaching platform" in link.text
        assert "Sign out there" in out.text
        assert (await browser.get("/session-history")).status_code == 200


async def test_a_cookie_of_ours_counts_for_nothing_beside_the_platforms(dsn: str) -> None:
    async with serving(dsn, web_cookie_name="platform_session") as web:
        ours = web.client(cookie=f"coaching_session={token(SAM)}")
        assert (await ours.get("/session-history")).status_code == 401


async def test_a_public_address_with_a_path_takes_the_writes_of_its_own_pages(dsn: str) -> None:
    async with serving(dsn, web_public_url="HTTP://Sessions.Example.org:80/coaching/") as web:
        reader = await web.reader(SAM)
        own = {"origin": "http://sessions.example.org", "sec-fetch-site": "same-origin"}
        assert (await reader.post("/api/sessions/save", json=finished(), headers=own)).status_code == 201
        assert (await reader.post("/sign-out", headers=own)).status_code == 303
