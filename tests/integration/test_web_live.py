"""Pages that stay true while a session goes on, and keys that an identity provider publishes."""

import asyncio
import json
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from uuid import UUID, uuid4

import httpx2
import jwt
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from jwt.algorithms import ECAlgorithm

from db.pool import Pool
from tests.integration.web_client import Web, finished, serving, token


async def told_of_a_change(reader: httpx2.AsyncClient, path: str, listening: asyncio.Event) -> None:
    async with asyncio.timeout(20), reader.stream("GET", path) as stream:
        assert stream.headers["content-type"].startswith("text/event-stream")
        async for line in stream.aiter_lines():
            listening.set()
            if line == "event: changed":
                return
    raise AssertionError("the stream ended without a word of the change")


async def test_the_list_is_told_when_a_session_comes_and_when_it_ends(web: Web) -> None:
    user_id = uuid4()
    me, reader = web.user(user_id), await web.reader(user_id)
    for change in (finished(), None):
        listening = asyncio.Event()
        waiting = asyncio.create_task(told_of_a_change(reader, "/session-history/changes", listening))
        await listening.wait()
        await asyncio.sleep(0.3)  # the server's first look, from which a change is one
        if change:
            told = change | _now()
            assert (await me.post("/api/sessions/save", json=told)).status_code == 201
        else:
            await me.patch(f"/api/sessions/{told['session_id']}", json={"status": "in_progress"})
        await waiting
    page = await reader.get("/session-history")
    assert "In Progress" in page.text


async def test_a_session_is_told_of_new_words(web: Web, pool: Pool) -> None:
    user_id, told = uuid4(), finished()
    await web.user(user_id).post("/api/sessions/save", json=told)
    reader, listening = await web.reader(user_id), asyncio.Event()
    path = f"/session-history/{told['session_id']}/changes"
    waiting = asyncio.create_task(told_of_a_change(reader, path, listening))
    await listening.wait()
    await asyncio.sleep(0.3)
    await pool.execute(
        "insert into session_events values ($1, 0, now(), 'SessionEnded', '{}')", UUID(told["session_id"])
    )
    await waiting


async def test_keys_of_an_identity_provider(dsn: str) -> None:
    ours, anothers = generate_private_key(SECP256R1()), generate_private_key(SECP256R1())
    published = json.dumps({"keys": [ECAlgorithm.to_jwk(ours.public_key(), as_dict=True) | {"kid": "k1"}]})

    class Jwks(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(published.encode())

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Jwks) as provider:
        Thread(target=provider.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{provider.server_address[1]}/jwks"
        exp = datetime.now(UTC) + timedelta(minutes=5)
        claims = {"sub": str(uuid4()), "exp": exp, "iss": "https://id", "aud": "coaching"}
        async with serving(
            dsn, web_jwks_url=url, web_jwt_issuer="https://id", web_jwt_audience="coaching"
        ) as web:

            async def answer(key: object, **other: str) -> int:
                made = jwt.encode(claims | other, key, algorithm="ES256", headers={"kid": "k1"})  # type: ignore[arg-type]
                client = web.client(authorization=f"Bearer {made}")
                return (await client.get("/api/sessions")).status_code

            assert await answer(ours) == 200
            assert await answer(anothers) == 401
            assert await answer(ours, iss="https://elsewhere") == 401
            assert await answer(ours, aud="elsewhere") == 401
            symmetric = web.client(authorization=f"Bearer {token(uuid4())}")
            assert (await symmetric.get("/api/sessions")).status_code == 401
        provider.shutdown()


def _now() -> dict[str, object]:
    now = datetime.now(UTC)
    times = {"start_time": (now - timedelta(minutes=5)).isoformat(), "end_time": now.isoformat()}
    return {**times, "duration_seconds": None, "transcript": []}
