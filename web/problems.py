"""Errors as problem details (RFC 9457), which name the field and never repeat what was sent."""

from collections.abc import Sequence
from http import HTTPStatus
from typing import Any

from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel, Field

MEDIA_TYPE = "application/problem+json"


class FieldError(BaseModel):
    """What is wrong with one field of a request."""

    field: str = Field(examples=["transcript.3.timestamp"])
    detail: str = Field(examples=["Input should have timezone info"])


class ProblemDetails(BaseModel):
    """RFC 9457."""

    type: str = Field("about:blank", examples=["about:blank"])
    title: str = Field(examples=["Unprocessable Content"])
    status: int = Field(examples=[422])
    detail: str | None = Field(None, examples=["end_time: is before start_time"])
    errors: list[FieldError] = Field(default_factory=list)


class Problem(Exception):
    """A request that is answered with an error."""

    def __init__(
        self, status: int, detail: str, *, field: str | None = None, headers: dict[str, str] | None = None
    ) -> None:
        super().__init__(detail)
        self.status, self.detail, self.field, self.headers = status, detail, field, headers


def not_found() -> Problem:
    """There is none, or it is somebody else's: nobody can tell which."""
    return Problem(404, "There is no such session, or it is not yours.")


def responses(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """For OpenAPI: these errors are problem details."""
    schema = {"schema": {"$ref": "#/components/schemas/ProblemDetails"}}
    return {s: {"description": HTTPStatus(s).phrase, "content": {MEDIA_TYPE: schema}} for s in statuses}


def problem(
    status: int,
    detail: str | None = None,
    errors: Sequence[FieldError] = (),
    headers: dict[str, str] | None = None,
) -> Response:
    """The answer itself."""
    body = ProblemDetails(
        type="about:blank",
        title=HTTPStatus(status).phrase,
        status=status,
        detail=detail,
        errors=list(errors),
    )
    return JSONResponse(
        body.model_dump(exclude_none=True), status, media_type=MEDIA_TYPE, headers={**(headers or {})}
    )
