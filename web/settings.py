"""The web part's own settings, beside those of the recorder. The README's table is made from these."""

import json
from functools import lru_cache
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, SecretStr
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from agent.session.errors import SettingsIncomplete
from agent.settings import Settings

_SHORTEST_SECRET = 32  # bytes: RFC 7518, 3.2, for HS256


def _json_object(value: Any) -> Any:
    """Parsed here, so that what is no JSON is told as any other wrong setting."""
    return json.loads(value or "{}") if isinstance(value, str) else value


class WebSettings(BaseSettings):
    """Read from the environment (and from a `.env` file, which the environment overrides)."""

    model_config = SettingsConfigDict(env_file=".env", extra="ignore", frozen=True)

    web_host: str = Field("127.0.0.1", description="Address to listen on; 0.0.0.0 = all")
    web_port: int = Field(8080, ge=0, le=65535, description="Port to listen on; 0 = any free one")
    web_public_url: str = Field(
        "",
        description="Where people reach it, e.g. https://sessions.example.org; https makes cookies Secure",
    )
    web_jwt_secret: SecretStr = Field(
        SecretStr(""), description="Secret (32 bytes or more) of the users' HS256 tokens"
    )
    web_jwks_url: str = Field(
        "", description="Instead of the secret: where your identity provider publishes its keys (JWKS)"
    )
    web_jwt_issuer: str = Field("", description="Who must have issued a token (`iss`); empty = anybody")
    web_jwt_audience: str = Field("", description="For whom a token must be (`aud`); empty = anybody")
    web_participants_see: bool = Field(
        True,
        description="Whether people see sessions that LiveKit saw them in under their user id: a counselor "
        "those they held; else only the owner and staff",
    )
    web_sign_in_links: bool = Field(
        True, description="Whether /sign-in?token=... signs in; the form there does in any case"
    )

    web_category_names: Annotated[dict[str, str], NoDecode, BeforeValidator(_json_object)] = Field(
        {},
        description='Names of counselor categories that are ids, e.g. {"d0703b74-...": "College"}',
    )

    @property
    def secure(self) -> bool:
        return self.web_public_url.startswith("https://")

    def require_complete(self, recorder: Settings) -> None:
        """Raise `SettingsIncomplete` naming everything that serving needs and lacks."""
        missing = [] if recorder.database_url.get_secret_value() else ["DATABASE_URL"]
        secret = self.web_jwt_secret.get_secret_value()
        if not secret and not self.web_jwks_url:
            missing.append("WEB_JWT_SECRET (or WEB_JWKS_URL)")
        elif secret and len(secret.encode()) < _SHORTEST_SECRET:
            missing.append(f"WEB_JWT_SECRET of {_SHORTEST_SECRET} bytes or more")
        if missing:
            raise SettingsIncomplete(missing)


@lru_cache(maxsize=1)
def web_settings_from_environment() -> WebSettings:
    """The web settings of this process, read once."""
    return WebSettings()
