"""Who asks: a bearer token (API) or the same token in a cookie (pages).

A cookie comes along with whatever a browser sends, also when another site made it. So it counts for reading,
and for changes only where the browser says that a page of ours, or of an allowed origin, asks.
"""

import time
from datetime import UTC, datetime
from typing import Annotated

from fastapi import Depends, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from starlette.types import ASGIApp, Receive, Scope, Send

from db.signed_out import is_signed_out, sign_out
from db.viewer import Viewer
from web.problems import Problem, problem
from web.settings import WebSettings
from web.tokens import LEEWAY, Token, unknown

SAFE = ("GET", "HEAD", "OPTIONS")
_KNOWN_FOR = 1.0  # seconds in which a sign-out at another process is not seen
_MOST_KNOWN = 10_000

bearer = HTTPBearer(
    auto_error=False,
    bearerFormat="JWT",
    description="`sub` is the user's id, `exp` is required, `role` is `admin` for staff, `counselor` for who "
    "enters rooms as the counselor.",
)


class SignIns:
    """Which tokens are still signed in; asks the database about each at most once a second."""

    def __init__(self) -> None:
        self._asked: dict[bytes, float] = {}

    async def goes_on(self, request: Request, token: Token) -> bool:
        """Whether the token has neither ended nor been signed out."""
        now = time.monotonic()
        if token.expires_at < time.time() - LEEWAY:
            return False
        if self._asked.get(token.digest, 0.0) > now - _KNOWN_FOR:
            return True
        if await is_signed_out(request.app.state.pool, token.digest):
            return False
        if len(self._asked) >= _MOST_KNOWN:
            self._asked.clear()
        self._asked[token.digest] = now
        return True

    async def end(self, request: Request, token: Token) -> None:
        """Sign out: the token is taken no more, wherever a copy of it is."""
        self._asked.pop(token.digest, None)
        until = datetime.fromtimestamp(token.expires_at + 2 * LEEWAY, UTC)
        await sign_out(request.app.state.pool, token.digest, until)


def cookie_name(settings: WebSettings) -> str:
    """The platform's own, else ours: with the prefix browsers hold to (over https, for this host alone)."""
    return settings.web_cookie_name or ("__Host-session" if settings.secure else "coaching_session")


async def checked(request: Request, text: str) -> Token:
    """The token of this text, if it is signed in. Raises `Problem` 401."""
    token: Token = await request.app.state.keys.checked(text)
    if not await request.app.state.sign_ins.goes_on(request, token):
        raise unknown("The token was signed out.")
    request.state.token = token
    return token


async def asking(request: Request) -> Viewer:
    """Who asks the API: by bearer token, else by cookie. Raises `Problem` 401 or 403."""
    if known := getattr(request.state, "token", None):
        return known.viewer  # type: ignore[no-any-return]
    scheme, _, text = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer" and text.strip():
        return (await checked(request, text.strip())).viewer
    return await by_cookie(request)


async def signed_in(
    request: Request,
    _: Annotated[HTTPAuthorizationCredentials | None, Depends(bearer)],  # for the OpenAPI description
) -> Viewer:
    """The viewer who asks; 401 when nobody does."""
    return await asking(request)


async def by_cookie(request: Request) -> Viewer:
    """The viewer of a page."""
    text = request.cookies.get(cookie_name(request.app.state.settings))
    if not text:
        raise unknown("Sign in first: no bearer token came with the request.")
    if request.method not in SAFE:
        require_trusted_page(request)
    return (await checked(request, text)).viewer


async def viewer_or_nobody(request: Request) -> Viewer | None:
    """Who is signed in with a cookie, for pages that anybody may see."""
    text = request.cookies.get(cookie_name(request.app.state.settings))
    try:
        return (await checked(request, text)).viewer if text else None
    except Problem:
        return None


def is_own_page(request: Request) -> bool:
    """Whether the browser says that a page of this site sent the request, also behind a rewrite."""
    origin, site = request.headers.get("origin"), request.headers.get("sec-fetch-site")
    if site not in (None, "same-origin"):
        return False
    if origin is None:
        return site is not None
    return _is_named(request, origin) or origin == f"{request.url.scheme}://{request.headers.get('host')}"


def require_trusted_page(request: Request) -> None:
    """Refuse what another site's page makes a browser send, unless its origin is an allowed one."""
    origin = request.headers.get("origin")
    if is_own_page(request) or (origin is not None and _is_named(request, origin)):
        return
    if origin is None and "sec-fetch-site" not in request.headers:
        raise Problem(403, "With a cookie, changes are taken from pages of this site only.")
    raise Problem(
        403, "This request came from another site's page (WEB_ALLOWED_ORIGINS names those allowed)."
    )


def _is_named(request: Request, origin: str) -> bool:
    settings: WebSettings = request.app.state.settings
    return origin in (settings.web_public_url, *settings.allowed_origins)


async def staff(viewer: Annotated[Viewer, Depends(signed_in)]) -> Viewer:
    """An admin; 403 for other users."""
    if not viewer.admin:
        raise Problem(403, "This is for staff.")
    return viewer


class SignInFirst:
    """ASGI middleware: a change by nobody is refused before its body is read."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"].startswith("/api/") and scope["method"] not in SAFE:
            try:
                await asking(Request(scope))
            except Problem as refused:
                answer = problem(refused.status, refused.detail, headers=refused.headers)
                await answer(scope, receive, send)
                return
        await self._app(scope, receive, send)


SignedIn = Annotated[Viewer, Depends(signed_in)]
OfPage = Annotated[Viewer, Depends(by_cookie)]
Staff = Annotated[Viewer, Depends(staff)]
