"""The web part as it is served, and people who use it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import httpx2
import jwt
import uvicorn
from pydantic import SecretStr

from agent.local.sfu import Sfu
from agent.settings import Settings
from web.app import create_asgi
from web.connections import server_config
from web.settings import WebSettings

SECRET = "a secret of more than thirty-two bytes"
TEN = datetime(2026, 3, 1, 10, 0, tzinfo=UTC)


def token(user_id: object, *, secret: str = SECRET, lasting: float = 600, **claims: Any) -> str:
    exp = datetime.now(UTC) + timedelta(seconds=lasting)
    return jwt.encode({"sub": str(user_id), "exp": exp, **claims}, secret, algorithm="HS256")


@dataclass
class Web:
    """A running server."""

    url: str
    dsn: str

    def __post_init__(self) -> None:
        self._clients: list[httpx2.AsyncClient] = []

    def client(self, **headers: str) -> httpx2.AsyncClient:
        client = httpx2.AsyncClient(base_url=self.url, headers=headers, timeout=30)
        self._clients.append(client)
        return client

    def user(self, user_id: UUID | str | None = None, **claims: Any) -> httpx2.AsyncClient:
        return self.client(authorization=f"Bearer {token(user_id or uuid4(), **claims)}")

    def admin(self) -> httpx2.AsyncClient:
        return self.user(role="admin")

    async def reader(self, user_id: UUID, **claims: Any) -> httpx2.AsyncClient:
        """Somebody who signed in with a browser."""
        client = self.client()
        await client.get("/sign-in", params={"token": token(user_id, **claims)})
        return client

    async def close(self) -> None:
        for client in self._clients:
            await client.aclose()


@asynccontextmanager
async def serving(dsn: str, sfu: Sfu | None = None, **settings: Any) -> AsyncIterator[Web]:
    """Serve this database on a port of its own."""
    recorder = Settings(
        _env_file=None,
        database_url=SecretStr(dsn),
        livekit_url=sfu.url if sfu else "",
        livekit_api_key=sfu.api_key if sfu else "",
        livekit_api_secret=SecretStr(sfu.api_secret if sfu else ""),
    )
    told: dict[str, Any] = {"web_jwt_secret": SecretStr(SECRET), "web_sign_in_links": True} | settings
    web = WebSettings(_env_file=None, **told)
    app = create_asgi(web, recorder)
    config = server_config(app, host="127.0.0.1", port=0, timeout_graceful_shutdown=1)
    server = uvicorn.Server(config)
    task = asyncio.create_task(server._serve())
    while not server.started:
        assert not task.done(), task.exception()
        await asyncio.sleep(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    running = Web(f"http://127.0.0.1:{port}", dsn)
    try:
        yield running
    finally:
        await running.close()
        server.should_exit = True
        await task


def finished(session_id: UUID | None = None, **more: Any) -> dict[str, Any]:
    """A session as a client tells it."""
    return {
        "session_id": str(session_id or uuid4()),
        "mode": "video",
        "counselor_category": "college",
        "start_time": "2026-03-01T10:00:00Z",
        "end_time": "2026-03-01T10:23:45Z",
        "duration_seconds": 1425,
        "transcript": [
            {"speaker": "user", "text": "I want to study biology.", "timestamp": "2026-03-01T10:00:12Z"},
            {"speaker": "counselor", "text": "Tell me more.", "timestamp": "2026-03-01T10:00:20Z"},
        ],
        **more,
    }
