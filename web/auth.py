"""Who asks: a bearer token (API) or the same token in a cookie (pages).

A cookie comes along with whatever a browser sends, also when another site made it. So it counts for reading,
and for changes only where the browser says that a page of ours asks (`Sec-Fetch-Site`, `Origin`).
"""

from typing import Annotated, Any
from uuid import UUID

import jwt
from fastapi import Depends, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from agent.session.user_ids import user_id
from db.viewer import Viewer
from web.problems import Problem
from web.settings import WebSettings

_SAFE = ("GET", "HEAD", "OPTIONS")
_LONGEST_NAME = 100  # characters
_LEEWAY = 10  # seconds that clocks may differ
_ASYMMETRIC = ["RS256", "RS384", "RS512", "PS256", "ES256", "ES384", "EdDSA"]
_CHALLENGE = {"WWW-Authenticate": 'Bearer realm="coaching sessions"'}

bearer = HTTPBearer(
    auto_error=False,
    bearerFormat="JWT",
    description="`sub` is the user's id, `exp` is required, `role` is `admin` for staff, `counselor` for who "
    "enters rooms as the counselor.",
)


class Keys:
    """Checks tokens, by the secret or by the identity provider's keys."""

    def __init__(self, settings: WebSettings, namespace: UUID) -> None:
        self._settings, self._namespace = settings, namespace
        self._jwks = jwt.PyJWKClient(settings.web_jwks_url, timeout=5) if settings.web_jwks_url else None

    async def viewer(self, token: str) -> tuple[Viewer, float]:
        """Whose token it is, and until when. Raises `Problem` 401."""
        try:
            if self._jwks is None:
                claims = self._claims(token, self._settings.web_jwt_secret.get_secret_value(), ["HS256"])
            else:
                key = await run_in_threadpool(self._jwks.get_signing_key_from_jwt, token)
                claims = self._claims(token, key.key, _ASYMMETRIC)
            return self._named_in(claims), float(claims["exp"])
        except jwt.ExpiredSignatureError:
            raise _unknown("The token has expired.") from None
        except jwt.PyJWKClientConnectionError:
            raise Problem(503, "The identity provider's keys cannot be had just now.") from None
        except (jwt.PyJWTError, ValueError, TypeError):
            raise _unknown("The token is not valid: sub and exp are needed.") from None

    def _named_in(self, claims: dict[str, Any]) -> Viewer:
        who, role = user_id(claims["sub"], self._namespace), claims.get("role")
        if who is None:
            raise ValueError
        sees_attended = self._settings.web_participants_see
        return Viewer(who, role == "admin", role == "counselor", _name(claims), sees_attended)

    def _claims(self, token: str, key: Any, algorithms: list[str]) -> dict[str, Any]:
        audience, issuer = self._settings.web_jwt_audience, self._settings.web_jwt_issuer
        claims: dict[str, Any] = jwt.decode(
            token,
            key,
            algorithms=algorithms,
            audience=audience or None,
            issuer=issuer or None,
            leeway=_LEEWAY,
            options={"require": ["exp", "sub"], "verify_aud": bool(audience)},
        )
        return claims


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


def cookie_name(settings: WebSettings) -> str:
    """With the prefix browsers hold to: only over https, for this host alone."""
    return "__Host-session" if settings.secure else "coaching_session"


async def signed_in(
    request: Request, credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(bearer)]
) -> Viewer:
    """The viewer who asks; 401 when nobody does."""
    if credentials is not None:
        viewer, _ = await request.app.state.keys.viewer(credentials.credentials)
        return viewer  # type: ignore[no-any-return]
    return await by_cookie(request)


async def by_cookie(request: Request) -> Viewer:
    """The viewer of a page."""
    token = request.cookies.get(cookie_name(request.app.state.settings))
    if not token:
        raise _unknown("Sign in first: no bearer token came with the request.")
    if request.method not in _SAFE:
        require_our_page(request)
    viewer, _ = await request.app.state.keys.viewer(token)
    return viewer  # type: ignore[no-any-return]


def require_our_page(request: Request) -> None:
    """Refuse what another site's page makes a browser send."""
    origin = request.headers.get("origin")
    ours = {
        f"{request.url.scheme}://{request.headers.get('host')}",
        request.app.state.settings.web_public_url,
    }
    site = request.headers.get("sec-fetch-site")
    if site not in (None, "same-origin") or (origin is not None and origin not in ours):
        raise Problem(403, "This request came from another site's page.")
    if site is None and origin is None:
        raise Problem(403, "With a cookie, changes are taken from pages of this site only.")


async def staff(viewer: Annotated[Viewer, Depends(signed_in)]) -> Viewer:
    """An admin; 403 for other users."""
    if not viewer.admin:
        raise Problem(403, "This is for staff.")
    return viewer


def _unknown(detail: str) -> Problem:
    return Problem(401, detail, headers=_CHALLENGE)


SignedIn = Annotated[Viewer, Depends(signed_in)]
OfPage = Annotated[Viewer, Depends(by_cookie)]
Staff = Annotated[Viewer, Depends(staff)]
