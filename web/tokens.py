"""Tokens (JWT, RFC 7519): whose they are, and for how long they are taken."""

import math
import time
from dataclasses import dataclass
from hashlib import sha256
from typing import Any
from uuid import UUID

import jwt
from fastapi.concurrency import run_in_threadpool

from agent.session.user_ids import user_id
from db.viewer import Viewer
from web.problems import Problem
from web.settings import WebSettings

LONGEST_TOKEN = 8192  # characters
_LONGEST_NAME = 100  # characters
LEEWAY = 10  # seconds that clocks may differ
_LAST_SECOND = 253_402_300_799  # of the year 9999
_ASYMMETRIC = ["RS256", "RS384", "RS512", "PS256", "ES256", "ES384", "EdDSA"]
_CHALLENGE = {"WWW-Authenticate": 'Bearer realm="coaching sessions"'}
# What a token can bring a decoder to raise, deep nesting and numbers of a thousand digits included.
_MALFORMED = (jwt.PyJWTError, ValueError, TypeError, OverflowError, RecursionError, AttributeError, KeyError)


@dataclass(frozen=True, slots=True)
class Token:
    """A token that was checked. `digest` names it without letting anybody use it."""

    viewer: Viewer
    expires_at: float  # seconds since 1970
    digest: bytes


class Keys:
    """Checks tokens, by the secret or by the identity provider's keys."""

    def __init__(self, settings: WebSettings, namespace: UUID) -> None:
        self._settings, self._namespace = settings, namespace
        self._jwks = jwt.PyJWKClient(settings.web_jwks_url, timeout=5) if settings.web_jwks_url else None

    async def checked(self, text: str) -> Token:
        """The token of this text. Raises `Problem` 401, or 503 while the provider's keys cannot be had."""
        if len(text) > LONGEST_TOKEN:
            raise unknown(f"The token is longer than {LONGEST_TOKEN} characters.")
        try:
            if self._jwks is None:
                claims = self._claims(text, self._settings.web_jwt_secret.get_secret_value(), ["HS256"])
            else:
                key = await run_in_threadpool(self._jwks.get_signing_key_from_jwt, text)
                claims = self._claims(text, key.key, _ASYMMETRIC)
            viewer, expires_at = self._viewer(claims), self._end(claims)
        except jwt.ExpiredSignatureError:
            raise unknown("The token has expired.") from None
        except jwt.PyJWKClientConnectionError:
            raise Problem(503, "The identity provider's keys cannot be had just now.") from None
        except _MALFORMED:
            raise unknown("The token is not valid: sub and exp are needed.") from None
        if expires_at < time.time() - LEEWAY:
            raise unknown(f"The token was issued longer ago than is taken here ({self._longest}).")
        # Of what is signed alone: one signature can be written in several ways.
        return Token(viewer, expires_at, sha256(text.rpartition(".")[0].encode()).digest())

    @property
    def _longest(self) -> str:
        longest = self._settings.web_longest_sign_in
        return f"WEB_LONGEST_SIGN_IN: {longest} s"

    def _viewer(self, claims: dict[str, Any]) -> Viewer:
        who, role = user_id(claims["sub"], self._namespace), claims.get("role")
        if who is None:
            raise ValueError("sub")
        sees_attended = self._settings.web_participants_see
        return Viewer(who, role == "admin", role == "counselor", _name(claims), sees_attended)

    def _end(self, claims: dict[str, Any]) -> float:
        """When the token ends here: as it says, and not later than the longest sign-in allows."""
        expires_at, longest = _seconds(claims["exp"]), self._settings.web_longest_sign_in
        if "iat" in claims:
            return min(expires_at, _seconds(claims["iat"]) + longest)
        if expires_at > time.time() + longest + LEEWAY:
            raise unknown(
                f"The token ends later than is taken here ({self._longest}): give it iat or an earlier exp."
            )
        return expires_at

    def _claims(self, text: str, key: Any, algorithms: list[str]) -> dict[str, Any]:
        audience, issuer = self._settings.web_jwt_audience, self._settings.web_jwt_issuer
        claims: dict[str, Any] = jwt.decode(
            text,
            key,
            algorithms=algorithms,
            audience=audience or None,
            issuer=issuer or None,
            leeway=LEEWAY,
            options={"require": ["exp", "sub"], "verify_aud": bool(audience)},
        )
        return claims


def unknown(detail: str) -> Problem:
    """Nobody knows who asks."""
    return Problem(401, detail, headers=_CHALLENGE)


def _seconds(claim: object) -> float:
    """A NumericDate. Raises `ValueError` for what is none."""
    if isinstance(claim, bool) or not isinstance(claim, int | float):
        raise ValueError("no NumericDate")
    if not math.isfinite(claim) or not 0 <= claim <= _LAST_SECOND:
        raise ValueError("no time")
    return float(claim)


def _name(claims: dict[str, Any]) -> str:
    """What the token calls its user, fit to be shown; empty when it does not."""
    for claim in ("name", "preferred_username", "email"):
        told = claims.get(claim)
        if isinstance(told, str) and (name := _fit_to_show(told)):
            return name
    return ""


def _fit_to_show(name: str) -> str:
    """Without what prints nothing or turns writing around, on one line."""
    shown = "".join(c if c.isprintable() else " " for c in name[:_LONGEST_NAME])
    return " ".join(shown.split())
