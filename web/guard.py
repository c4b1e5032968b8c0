"""What every request goes through: headers that protect, a count and a time."""

import time
from typing import Any

from prometheus_client import Counter, Histogram
from starlette.types import ASGIApp, Message, Receive, Scope, Send

REQUESTS = Counter("web_requests_total", "Requests answered", ["method", "route", "status"])
SECONDS = Histogram("web_request_seconds", "Time to the end of the answer", ["method", "route"])

# Everything comes from us, and nothing of a page's own text is ever run.
CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; font-src 'self'; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
_HEADERS = {
    "content-security-policy": CONTENT_SECURITY_POLICY,
    "referrer-policy": "same-origin",  # with no-referrer, forms of ours would come without their origin
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), microphone=(), geolocation=()",
}
_HSTS = {"strict-transport-security": "max-age=31536000"}


class Guard:
    """ASGI middleware; outermost, so that it sees every answer."""

    def __init__(self, app: ASGIApp, *, hsts: bool) -> None:
        self._app = app
        self._headers = [(k.encode(), v.encode()) for k, v in {**_HEADERS, **(_HSTS if hsts else {})}.items()]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began, told = time.monotonic(), _Answer()

        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                told.status = message["status"]
                told.begun = True
                has = {name for name, _ in message["headers"]}
                message["headers"] = [*message["headers"], *(h for h in self._headers if h[0] not in has)]
                if b"cache-control" not in has:
                    message["headers"].append((b"cache-control", b"no-store"))
            await send(message)

        try:
            await self._app(scope, receive, sending)
        except Exception:
            if not told.begun:
                raise
            # Answered and logged (`web.problems`); the server would log the text, which may quote people.
        finally:
            route = getattr(scope.get("route"), "path_format", "none")
            REQUESTS.labels(_method(scope), route, str(told.status)).inc()
            SECONDS.labels(_method(scope), route).observe(time.monotonic() - began)


class _Answer:
    status: int = 500
    begun: bool = False


def _method(scope: Any) -> str:
    known = ("GET", "HEAD", "POST", "PATCH", "PUT", "DELETE", "OPTIONS")
    return scope["method"] if scope["method"] in known else "other"
