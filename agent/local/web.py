"""The web part as a process of its own, started by name, and links that sign a developer in to it."""

import secrets
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlencode
from uuid import UUID, uuid5

import jwt
from pydantic import SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

from agent.local.processes import LOOPBACK, ChildProcess, free_port, port_answers
from agent.private import kept_text, private_folder
from agent.session.rooms import ROOM_SID_NAMESPACE
from agent.settings import Settings

PROJECT = Path(__file__).parents[2]
START_TIMEOUT = 60.0
_LINK_SECONDS = 7 * 24 * 3600
_LINKS = {"WEB_SIGN_IN_LINKS": "true", "WEB_LONGEST_SIGN_IN": str(_LINK_SECONDS)}  # and such long ones


class _Shared(BaseSettings):
    """What a developer may have set for the web part (described in `web.settings`)."""

    model_config = SettingsConfigDict(env_file=".env", extra="ignore", frozen=True)

    web_port: int = 8080
    web_jwt_secret: SecretStr = SecretStr("")
    web_jwks_url: str = ""


class WebServer:
    """The pages and the API on a port of the loopback interface: WEB_PORT, or another when that is taken."""

    def __init__(self, settings: Settings) -> None:
        shared = _Shared()
        self._by_jwks = bool(shared.web_jwks_url)
        self._secret = shared.web_jwt_secret.get_secret_value() or kept_text(
            settings.recorder_data_dir / "web.secret", lambda: secrets.token_urlsafe(48)
        )
        self._port = free_port(shared.web_port)
        environment = {
            "WEB_JWT_SECRET": self._secret,
            "WEB_HOST": LOOPBACK,
            "WEB_PORT": str(self._port),
        } | _LINKS
        self._child = ChildProcess(
            "the web part",
            [sys.executable, "-m", "web"],
            settings.recorder_data_dir / "web.log",
            environment=settings.as_environment() | environment,
            directory=PROJECT,
        )

    @property
    def url(self) -> str:
        return f"http://{LOOPBACK}:{self._port}"

    def wait_until_ready(self) -> None:
        self._child.wait_until(lambda: port_answers(self._port), timeout=START_TIMEOUT)

    def links(self) -> dict[str, str]:
        """For each whom a developer may want to be, where they begin."""
        return {
            "student": self._link("student", "/video-session", name="Student"),
            "counselor": self._link("counselor", "/session-history", name="Counselor", role="counselor"),
            "staff": self.link(),
        }

    def link(self, session_id: UUID | None = None) -> str:
        """To the history, or one session in it; as staff, who see every session."""
        page = f"/session-history/{session_id}" if session_id else "/session-history"
        return self._link("developer", page, name="Staff", role="admin")

    def _link(self, who: str, page: str, **claims: str) -> str:
        if self._by_jwks:
            return self.url + page  # only the identity provider can make a token
        user_id = uuid5(ROOM_SID_NAMESPACE, who)  # the same from one start to the next
        expires = int(time.time()) + _LINK_SECONDS
        token = jwt.encode({**claims, "sub": str(user_id), "exp": expires}, self._secret, algorithm="HS256")
        return f"{self.url}/sign-in?{urlencode({'next': page, 'token': token})}"

    def stop(self) -> None:
        self._child.stop()


@contextmanager
def running_web(settings: Settings) -> Iterator[WebServer]:
    """The web part for the length of a `with`; call it from the main thread (see `ChildProcess`)."""
    private_folder(settings.recorder_data_dir)
    server = WebServer(settings)
    try:
        server.wait_until_ready()
        yield server
    finally:
        server.stop()
