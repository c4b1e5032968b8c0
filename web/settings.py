"""The web part's own settings, beside those of the recorder. The README's table is made from these."""

import json
from functools import lru_cache
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, SecretStr, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from agent.session.errors import SettingsIncomplete
from agent.settings import Settings
from web.origins import is_loopback, origin

_SHORTEST_SECRET = 32  # bytes: RFC 7518, 3.2, for HS256
_COOKIE_NAME = r"^[A-Za-z0-9!#$%&'*+.^_`|~-]*$"  # a token of RFC 9110

# What a setting is about; `--help` groups them so.
SERVING = "Where it serves"
TOKENS = "Whose tokens it takes, and for how long: guards who may sign in"
SEEING = "What people see"
BROWSERS = "Which pages may call it, and with which cookie: guards against other sites' pages"
WATCHING = "Who may read its figures"


def _setting(default: Any, group: str, description: str, **limits: Any) -> Any:
    return Field(default, description=description, json_schema_extra={"group": group}, **limits)


def _json_object(value: Any) -> Any:
    """Parsed here, so that what is no JSON is told as any other wrong setting."""
    return json.loads(value or "{}") if isinstance(value, str) else value


class WebSettings(BaseSettings):
    """Read from the environment (and from a `.env` file, which the environment overrides)."""

    model_config = SettingsConfigDict(env_file=".env", extra="ignore", frozen=True)

    web_host: str = _setting("127.0.0.1", SERVING, "Address to listen on; 0.0.0.0 = all")
    web_port: int = _setting(8080, SERVING, "Port to listen on; 0 = any free one", ge=0, le=65535)
    web_public_url: str = _setting(
        "",
        SERVING,
        "Where people reach it, e.g. https://sessions.example.org: its own pages are those of this origin. "
        "Cookies are Secure unless it says http://, or is empty and WEB_HOST is a loopback address",
    )
    web_jwt_secret: SecretStr = _setting(
        SecretStr(""), TOKENS, "Secret (32 bytes or more) of the users' HS256 tokens"
    )
    web_jwks_url: str = _setting(
        "",
        TOKENS,
        "Instead of the secret: where your identity provider publishes its keys (JWKS); needs "
        "WEB_JWT_ISSUER and WEB_JWT_AUDIENCE",
    )
    web_jwt_issuer: str = _setting("", TOKENS, "Who must have issued a token (`iss`); empty = anybody")
    web_jwt_audience: str = _setting("", TOKENS, "For whom a token must be (`aud`); empty = anybody")
    web_longest_sign_in: int = _setting(
        7 * 86_400,
        TOKENS,
        "Seconds that a token is taken at most: from its `iat`, or without one from now",
        ge=60,
    )
    web_sign_in_links: bool = _setting(
        False, TOKENS, "Whether /sign-in?token=... signs in; the form there does in any case"
    )
    web_participants_see: bool = _setting(
        True,
        SEEING,
        "Whether people see sessions that LiveKit saw them in under their user id: a counselor those they "
        "held; else only the owner and staff",
    )
    web_category_names: Annotated[dict[str, str], NoDecode, BeforeValidator(_json_object)] = _setting(
        {}, SEEING, 'Names of counselor categories that are ids, e.g. {"d0703b74-...": "College"}'
    )
    web_allowed_origins: str = _setting(
        "",
        BROWSERS,
        "Origins of your platform's own pages, with commas, e.g. https://app.example.org: they may call the "
        "API from browsers (CORS), with bearer token or cookie",
    )
    web_cookie_name: str = _setting(
        "",
        BROWSERS,
        "Your platform's own cookie that holds the user's JWT; it is read instead of a cookie of ours, and "
        "never set or deleted",
        pattern=_COOKIE_NAME,
        max_length=100,
    )
    web_metrics_token: SecretStr = _setting(
        SecretStr(""),
        WATCHING,
        "Bearer token for /metrics; empty = answered only to this machine, and only without WEB_PUBLIC_URL",
    )

    @field_validator("web_public_url")
    @classmethod
    def _public_origin(cls, address: str) -> str:
        return origin(address) if address.strip() else ""

    @field_validator("web_allowed_origins")
    @classmethod
    def _origins(cls, addresses: str) -> str:
        named = [address for address in addresses.split(",") if address.strip()]
        if any(address.strip() in ("*", "null") for address in named):
            raise ValueError("must name each origin: with * any site could read what your users may read")
        return ",".join(dict.fromkeys(map(origin, named)))

    @property
    def secure(self) -> bool:
        """Whether cookies are for https alone. Who serves plain http to other machines has to say so."""
        if self.web_public_url:
            return self.web_public_url.startswith("https://")
        return not is_loopback(self.web_host)

    @property
    def allowed_origins(self) -> list[str]:
        return self.web_allowed_origins.split(",") if self.web_allowed_origins else []

    def require_complete(self, recorder: Settings) -> None:
        """Raise `SettingsIncomplete` naming everything that serving needs and lacks."""
        missing = [] if recorder.database_url.get_secret_value() else ["DATABASE_URL"]
        secret = self.web_jwt_secret.get_secret_value()
        if self.web_jwks_url:
            needed = ("web_jwt_issuer", "web_jwt_audience")  # providers sign for others, too, with these keys
            missing += [f"{n.upper()} (WEB_JWKS_URL needs it)" for n in needed if not getattr(self, n)]
        elif not secret:
            missing.append("WEB_JWT_SECRET (or WEB_JWKS_URL)")
        elif len(secret.encode()) < _SHORTEST_SECRET:
            missing.append(f"WEB_JWT_SECRET of {_SHORTEST_SECRET} bytes or more")
        if missing:
            raise SettingsIncomplete(missing)


@lru_cache(maxsize=1)
def web_settings_from_environment() -> WebSettings:
    """The web settings of this process, read once."""
    return WebSettings()
