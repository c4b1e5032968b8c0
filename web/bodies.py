"""How large a request may be, and that the API takes JSON whatever its type says.

Of a larger one the rest is forgotten: who still writes hears no answer.
"""

import json
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ValidationError
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from web.body_reading import LARGEST, LARGEST_FORM, Body, Held
from web.problems import FieldError, problem
from web.threads import in_thread


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
        if scope["path"].startswith("/api/"):
            scope["headers"] = _as_json(scope["headers"])
        body = Body(scope, receive, self._held, largest)
        try:
            await self._app(scope, body.receive, send)
        finally:
            body.release()


def _as_json(headers: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """`navigator.sendBeacon` of a text says text/plain, others nothing. It does not tell who may ask."""
    return [*(h for h in headers if h[0] != b"content-type"), (b"content-type", b"application/json")]


Model = TypeVar("Model", bound=BaseModel)


def large_body(model: type[Model]) -> Callable[[Request], Awaitable[Model]]:
    """A dependency: the body as this model, parsed in a thread, so that nobody waits for a long transcript.

    Raises `RequestValidationError`. The route tells of it by `openapi_extra=told_by(model)`.
    """

    async def told(request: Request) -> Model:
        return await in_thread(_parsed, model, await request.body())

    return told


def told_by(model: type[BaseModel]) -> dict[str, Any]:
    """What OpenAPI says of such a body. The schema itself is among the `components`, by the model's name."""
    DESCRIBED.append(model)
    reference = {"$ref": f"#/components/schemas/{model.__name__}"}
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": reference}}}}


DESCRIBED: list[type[BaseModel]] = []


def _parsed(model: type[Model], body: bytes) -> Model:
    try:
        return model.model_validate(json.loads(body))
    except ValidationError as error:
        found = error.errors(include_url=False, include_input=False, include_context=False)
        raise RequestValidationError([{**e, "loc": ("body", *e["loc"])} for e in found]) from None
    except (ValueError, RecursionError):
        raise RequestValidationError([{"type": "json_invalid", "loc": ("body",), "msg": ""}]) from None


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
