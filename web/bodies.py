"""How large a request may be, and that the API takes JSON whatever its type says.

A larger one is read to its end first: who still writes hears no answer.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from web.problems import FieldError, problem
from web.threads import in_thread

LARGEST = 4 * 1024 * 1024  # bytes: more than a day of talking
MOST_READ = 64 * 1024 * 1024  # bytes after which it is cut off without an answer being heard
_PATIENCE = 30  # seconds for the rest of a body that is refused


class TooLarge(HTTPException):
    """The body goes on beyond what is taken. An HTTPException, as FastAPI takes others for bad JSON."""

    def __init__(self) -> None:
        super().__init__(413)


class BodyLimit:
    """ASGI middleware."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        length = dict(scope["headers"]).get(b"content-length", b"0")
        if length.isdigit() and int(length) > LARGEST:
            await _read_to_the_end(receive)
            await _refusal(scope["path"])(scope, receive, send)
            return
        if scope["path"].startswith("/api/"):
            scope["headers"] = _as_json(scope["headers"])
        taken = 0

        async def receiving() -> Message:
            nonlocal taken
            message = await receive()
            taken += len(message.get("body", b""))
            if taken > LARGEST:
                await _read_to_the_end(receive)
                raise TooLarge
            return message

        await self._app(scope, receiving, send)


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


async def _read_to_the_end(receive: Receive) -> None:
    read = 0
    try:
        async with asyncio.timeout(_PATIENCE):
            while read < MOST_READ:
                message = await receive()
                read += len(message.get("body", b""))
                if not message.get("more_body"):
                    break
    except TimeoutError:
        pass


def _refusal(path: str) -> Response:
    limit = f"is larger than {LARGEST // 1024 // 1024} MiB"
    field = "transcript" if path.endswith("/save") else "body"
    return problem(413, f"{field}: {limit}", [FieldError(field=field, detail=limit)], {"Connection": "close"})
