"""How large a request may be. Of a larger one the rest is forgotten: who still writes hears no answer."""

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from web.body_reading import LARGEST, LARGEST_FORM, Body, Held
from web.problems import FieldError, problem


class BodyLimit:
    """ASGI middleware."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._held = Held()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        largest = _largest(scope["path"])
        length = dict(scope["headers"]).get(b"content-length", b"0")
        if length.isdigit() and int(length[:20]) > largest:
            await _refusal(scope["path"])(scope, receive, send)
            return
        body = Body(scope, receive, self._held, largest)
        try:
            await self._app(scope, body.receive, send)
        finally:
            body.release()


async def refuse_too_large(request: Request, _: Exception) -> Response:
    """Answer a body that turned out too large only while it came."""
    return _refusal(request.url.path)


def _largest(path: str) -> int:
    return LARGEST if path.startswith("/api/") else LARGEST_FORM


def _refusal(path: str) -> Response:
    limit = f"is larger than {_largest(path) // 1024} KiB"
    if _largest(path) == LARGEST:
        limit = f"is larger than {LARGEST // 1024 // 1024} MiB"
    field = "transcript" if path.endswith("/save") else "body"
    return problem(413, f"{field}: {limit}", [FieldError(field=field, detail=limit)])
