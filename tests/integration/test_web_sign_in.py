"""Signing in and out: which tokens are taken, for how long, and that nobody becomes somebody else unasked."""

import asyncio
import hmac
import json
import re
import time
from base64 import urlsafe_b64encode
from hashlib import sha256
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

import httpx2
import pytest

from agent.session.user_ids import user_id
from db.pool import Pool
from tests.integration.web_client import SECRET, Web, finished, serving, token

SAM = UUID("5b1e0a3c-93a1-4f0a-8c51-0e9f2c3d4e5f")
EVE = UUID("e7e00000-93a1-4f0a-8c51-0e9f2c3d4e5f")
HOUR = 3600
FORM = "application/x-www-form-urlencoded"
DEEP = '{"sub": ' + "[" * 3000 + "]" * 3000 + "}"


def part(raw: bytes) -> str:
    return urlsafe_b64encode(raw).rstrip(b"=").decode()


def signed(payload: str, header: str = '{"alg": "HS256", "typ": "JWT"}') -> str:
    """A token of any text, well signed."""
    text = f"{part(header.encode())}.{part(payload.encode())}"
    return f"{text}.{part(hmac.digest(SECRET.encode(), text.encode(), sha256))}"


def claims(**more: Any) -> str:
    return json.dumps({"sub": str(SAM), "exp": int(time.time()) + 600} | more)


NO_TOKENS = {
    "exp of 400 digits": signed(f'{{"sub": "{SAM}", "exp": {"9" * 400}}}'),
    "exp of 5,000 digits": signed(f'{{"sub": "{SAM}", "exp": {"9" * 5000}}}'),
    "exp beyond every calendar": signed(claims(exp=10**18)),
    "exp infinite": signed(f'{{"sub": "{SAM}", "exp": 1e999}}'),
    "exp not a number": signed(f'{{"sub": "{SAM}", "exp": NaN}}'),
    "exp negative": signed(claims(exp=-5)),
    "exp text": signed(claims(exp="tomorrow")),
    "exp true": signed(claims(exp=True)),
    "exp a list": signed(claims(exp=[1])),
    "exp null": signed(claims(exp=None)),
    "no exp": signed(f'{{"sub": "{SAM}"}}'),
    "no sub": signed(f'{{"exp": {int(time.time()) + 600}}}'),
    "sub nested": signed(claims(sub={"id": str(SAM)})),
    "sub a list": signed(claims(sub=[str(SAM)])),
    "sub a number": signed(claims(sub=7)),
    "sub blank": signed(claims(sub="  ")),
    "sub too long": signed(claims(sub="x" * 257)),
    "sub half a character": signed(claims(sub="\ud800")),
    "iat text": signed(claims(iat="now")),
    "iat infinite": signed(f'{{"sub": "{SAM}", "exp": {int(time.time()) + 600}, "iat": 1e999}}'),
    "iat true": signed(claims(iat=True)),
    "iat null": signed(claims(iat=None)),
    "iat in the future": signed(claims(iat=int(time.time()) + HOUR)),
    "nbf garbage": signed(claims(nbf={"a": 1})),
    "nbf infinite": signed(f'{{"sub": "{SAM}", "exp": {int(time.time()) + 600}, "nbf": 1e999}}'),
    "nbf in the future": signed(claims(nbf=int(time.time()) + HOUR)),
    "payload nested deeply": signed(DEEP),
    "payload a list": signed("[1, 2]"),
    "payload a text": signed('"sub"'),
    "payload no JSON": signed("sub=sam"),
    "header no JSON": signed(claims(), header="alg=HS256"),
    "header a list": signed(claims(), header="[]"),
    "header nested deeply": signed(claims(), header="[" * 3000),
    "alg a list": signed(claims(), header='{"alg": ["HS256"]}'),
    "alg none": signed(claims(), header='{"alg": "none"}').rpartition(".")[0] + ".",
    "alg another": signed(claims(), header='{"alg": "HS512"}'),
    "crit unknown": signed(claims(), header='{"alg": "HS256", "crit": ["x"], "x": 1}'),
    "another secret": token(SAM, secret="another secret of thirty-two bytes"),
    "no dots": "garbage",
    "only dots": "..",
    "empty parts": "a..b",
    "beyond ASCII": "\u00e4.\u00e4.\u00e4",
    "12 kB": signed(claims(name="x" * 9_000)),
}


@pytest.mark.parametrize("what", NO_TOKENS)
async def test_what_is_no_token_is_401_and_never_500(web: Web, what: str) -> None:
    text = NO_TOKENS[what].encode("latin-1", "replace")
    bearer = await web.client().get("/api/sessions", headers=[(b"authorization", b"Bearer " + text)])
    assert bearer.status_code == 401
    assert bearer.headers["content-type"] == "application/problem+json"
    assert "Bearer" in bearer.headers["www-authenticate"]
    cookie = await web.client().get("/session-history", headers=[(b"cookie", b"coaching_session=" + text)])
    assert cookie.status_code == 401
    form = await post_form(web.client(), web, token=NO_TOKENS[what])
    assert form.status_code == 401
    assert "set-cookie" not in form.headers


async def test_a_token_of_100_kb_is_refused(web: Web) -> None:
    refused = await web.client().get("/api/sessions", headers={"authorization": f"Bearer {'x' * 100_000}"})
    assert refused.status_code in (400, 401, 431)


async def post_form(client: httpx2.AsyncClient, web: Web, **form: str) -> httpx2.Response:
    headers = {"content-type": FORM, "origin": web.url, "sec-fetch-site": "same-origin"}
    return await client.post("/sign-in", content=urlencode(form), headers=headers)


async def test_an_id_of_the_platforms_own_signs_in_as_the_uuid_that_stands_for_it(web: Web) -> None:
    platform = web.user("user_2abc")
    saved = await platform.post("/api/sessions/save", json=finished())
    assert saved.status_code == 201
    known_to_the_recorder = web.user(user_id("user_2abc"))
    assert len((await known_to_the_recorder.get("/api/sessions")).json()["sessions"]) == 1


async def test_a_token_is_taken_no_longer_than_the_longest_sign_in(dsn: str) -> None:
    async with serving(dsn, web_longest_sign_in=HOUR) as web:
        now = int(time.time())
        for fine in (
            {"iat": now, "lasting": 90 * HOUR},
            {"iat": now - HOUR // 2, "lasting": 90 * HOUR},
            {"lasting": HOUR},
        ):
            assert (await web.user(SAM, **fine).get("/api/sessions")).status_code == 200
        for long in ({"iat": now - 2 * HOUR, "lasting": 90 * HOUR}, {"lasting": 90 * HOUR}):
            refused = await web.user(SAM, **long).get("/api/sessions")
            assert refused.status_code == 401
            assert "WEB_LONGEST_SIGN_IN" in refused.json()["detail"]


async def test_the_cookie_lasts_no_longer_than_its_token_is_taken(dsn: str) -> None:
    async with serving(dsn, web_longest_sign_in=HOUR) as web:
        link = {"token": token(SAM, lasting=90 * HOUR, iat=int(time.time()))}
        cookie = (await web.client().get("/sign-in", params=link)).headers["set-cookie"]
        lasts = re.search(r"Max-Age=(\d+)", cookie)
        assert lasts is not None
        assert HOUR - 60 < int(lasts[1]) <= HOUR


async def test_signing_out_ends_the_token_wherever_a_copy_of_it_is(dsn: str, pool: Pool) -> None:
    text, other = token(SAM), token(SAM, jti="another sign-in")
    async with serving(dsn) as web, serving(dsn) as elsewhere:
        browser = web.client()
        await browser.get("/sign-in", params={"token": text})
        copies = [
            web.client(cookie=f"coaching_session={text}"),
            elsewhere.client(cookie=f"coaching_session={text}"),
            web.client(authorization=f"Bearer {text}"),
            elsewhere.client(authorization=f"Bearer {text}"),
            # The same signature, written otherwise.
            web.client(authorization=f"Bearer {text}="),
        ]
        for copy in copies[:4]:
            assert (await copy.get("/api/sessions")).status_code == 200
        assert (await browser.post("/sign-out", headers={"origin": web.url})).status_code == 303
        assert (await copies[0].get("/api/sessions")).json()["detail"] == "The token was signed out."
        for copy in copies:
            await until_refused(copy)
        refused = await web.client().get("/sign-in", params={"token": text})
        assert refused.status_code == 401
        assert (await web.client(authorization=f"Bearer {other}").get("/api/sessions")).status_code == 200
    kept = await pool.fetch("select * from signed_out")
    assert len(kept) == 1
    assert text.encode() not in kept[0]["digest"]


async def until_refused(client: httpx2.AsyncClient) -> None:
    """Another process notices within a second."""
    for _ in range(400):
        if (await client.get("/api/sessions")).status_code == 401:
            return
        await asyncio.sleep(0.05)
    raise AssertionError("still signed in")


async def test_a_live_page_ends_when_its_viewer_signs_out(web: Web) -> None:
    reader = await web.reader(SAM)
    async with reader.stream("GET", "/session-history/changes") as told, asyncio.timeout(30):
        lines = told.aiter_lines()
        assert (await anext(lines)).startswith("retry")
        await reader.post("/sign-out", headers={"origin": web.url})
        assert [line async for line in lines if line.startswith("event")] == []


async def test_tokens_signed_out_are_forgotten_when_they_would_have_ended(dsn: str, pool: Pool) -> None:
    await pool.execute("insert into signed_out values ('\\x01', now() - interval '1 minute')")
    async with serving(dsn) as web:
        reader = await web.reader(SAM)
        await reader.post("/sign-out", headers={"origin": web.url})
        assert await pool.fetchval("select count(*) from signed_out") == 1


async def test_the_role_of_the_web_part_cannot_take_back_a_sign_out(pool: Pool) -> None:
    async with pool.acquire() as connection, connection.transaction():
        await connection.execute("set local role coaching_web")
        await connection.execute("insert into signed_out values ('\\x01', now() + interval '1 hour')")
        assert await connection.execute("delete from signed_out") == "DELETE 0"
        assert await connection.fetchval("select count(*) from signed_out") == 1


async def test_links_sign_nobody_in_unless_they_are_switched_on(dsn: str) -> None:
    async with serving(dsn, web_sign_in_links=False) as web:
        asked = await web.client().get("/sign-in", params={"token": token(SAM)})
        assert "set-cookie" not in asked.headers
        assert "Paste" in asked.text or "paste" in asked.text


@pytest.mark.parametrize("by", ["link", "form"])
async def test_nobody_becomes_somebody_else_without_being_asked(web: Web, by: str) -> None:
    browser = web.client()
    await browser.get("/sign-in", params={"token": token(SAM, name="Sam Ode")})
    theirs = token(EVE, name="Eve")
    if by == "link":
        asked = await browser.get("/sign-in", params={"token": theirs, "next": "/admin"})
    else:
        asked = await post_form(browser, web, token=theirs, next="/admin")
    assert asked.status_code == 200
    assert "set-cookie" not in asked.headers
    said = " ".join(re.sub(r"<[^>]*>", "", asked.text).split())
    assert "You are signed in as Sam Ode (5b1e0a3c). Sign in as Eve (e7e00000) instead?" in said
    assert "Sam Ode" in (await browser.get("/session-history")).text
    hidden = dict(re.findall(r'type="hidden" name="(\w+)" value="([^"]*)"', asked.text))
    agreed = await post_form(browser, web, **hidden)
    assert (agreed.status_code, agreed.headers["location"]) == (303, "/admin")
    assert "Eve" in (await browser.get("/session-history")).text


async def test_the_same_user_just_renews(web: Web) -> None:
    browser = web.client()
    for lasting in (100, 500):
        renewed = await browser.get("/sign-in", params={"token": token(SAM, lasting=lasting)})
        assert renewed.status_code == 303
        assert "set-cookie" in renewed.headers


async def test_another_sites_form_signs_nobody_in(dsn: str) -> None:
    """Its browser sends no cookie along: whoever is signed in would not be known."""
    async with serving(dsn, web_allowed_origins="https://app.example.org") as web:
        form = {"token": token(EVE, name="Eve"), "instead": "yes"}
        stranger = {"content-type": FORM, "origin": "https://evil.example", "sec-fetch-site": "cross-site"}
        refused = await web.client().post("/sign-in", content=urlencode(form), headers=stranger)
        assert refused.status_code == 403
        allowed = stranger | {"origin": "https://app.example.org"}
        asked = await web.client().post("/sign-in", content=urlencode(form), headers=allowed)
        assert asked.status_code == 200
        assert "set-cookie" not in asked.headers
        assert "wants to sign you in as <b>Eve</b>" in asked.text


@pytest.mark.parametrize(
    ("claims", "shown"),
    [
        ({"name": "Sam Ode"}, "Sam Ode"),
        ({"name": " \u202eSam\n\x00Ode "}, "Sam Ode"),
        ({"name": "", "preferred_username": "sam"}, "sam"),
        ({"name": 7, "email": "sam@example.org"}, "sam@example.org"),
        ({"name": "x" * 300}, "x" * 100),
        ({"name": "<b>Sam</b>"}, "&lt;b&gt;Sam&lt;/b&gt;"),
        ({}, "user 5b1e0a3c"),
    ],
)
async def test_each_page_says_who_is_signed_in(web: Web, claims: dict[str, Any], shown: str) -> None:
    reader = await web.reader(SAM, **claims)
    for path in ("/session-history", f"/session-history/{SAM}", "/sign-in", "/admin"):
        answer = await reader.get(path, headers={"accept": "text/html"})
        assert f"Signed in as </span>{shown}</span>" in answer.text, path


async def test_metrics_are_for_this_machine_or_for_who_has_the_token(dsn: str) -> None:
    async with serving(dsn) as web:
        assert (await web.client().get("/metrics")).status_code == 200
        for proxy in (
            {"x-forwarded-for": "203.0.113.7"},
            {"forwarded": "for=203.0.113.7"},
            {"via": "1.1 proxy"},
        ):
            assert (await web.client(**proxy).get("/metrics")).status_code == 403
    async with serving(dsn, web_public_url="https://sessions.example.org") as web:
        refused = await web.client().get("/metrics")
        assert refused.status_code == 403
        assert "WEB_METRICS_TOKEN" in refused.json()["detail"]
    async with serving(dsn, web_metrics_token="a token", web_public_url="https://x.org") as web:
        for wrong in ("Bearer b", "Basic a token", "Bearer \u00e4", "Bearer"):
            headers = [(b"authorization", wrong.encode("latin-1"))]
            assert (await web.client().get("/metrics", headers=headers)).status_code == 401
        assert (await web.client().get("/metrics")).status_code == 401
        figures = await web.client(authorization="Bearer a token").get("/metrics")
        assert figures.status_code == 200
        assert "web_requests_total" in figures.text
