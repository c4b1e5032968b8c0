"""Whatever goes wrong is told: to programs as problem details, to people as a page."""

from collections.abc import Sequence
from http import HTTPStatus
from typing import Any, cast
from urllib.parse import urlencode

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import RedirectResponse, Response
from starlette.exceptions import HTTPException
from starlette.routing import Match

from agent.session.errors import what_failed
from db.pool import is_transient
from db.quotas import QuotaExceeded
from web.bodies import refuse_too_large
from web.body_reading import TooLarge
from web.pages.rendering import page, wants_page
from web.problems import FieldError, Problem, problem

log = structlog.stdlib.get_logger()
_TITLES = {403: "Not allowed", 404: "Not found", 422: "Not found", 503: "Not available"}


def tell_failures(app: FastAPI) -> None:
    """Answer every error in one of the two forms."""
    app.add_exception_handler(Problem, _refused)
    app.add_exception_handler(QuotaExceeded, _too_many)
    app.add_exception_handler(TooLarge, refuse_too_large)
    app.add_exception_handler(RequestValidationError, _malformed)
    app.add_exception_handler(HTTPException, _http_error)
    app.add_exception_handler(Exception, _failed)


async def _refused(request: Request, error: Exception) -> Response:
    told = cast("Problem", error)
    errors = [FieldError(field=told.field, detail=told.detail)] if told.field else []
    detail = f"{told.field}: {told.detail}" if told.field else told.detail
    return _tell(request, told.status, detail, errors, told.headers)


async def _too_many(request: Request, error: Exception) -> Response:
    told = cast("QuotaExceeded", error)
    return _tell(request, 429, str(told), headers={"Retry-After": str(told.retry_after)})


async def _malformed(request: Request, error: Exception) -> Response:
    found = cast("RequestValidationError", error).errors()
    errors = [FieldError(field=_name(e["loc"]), detail=_said(e)) for e in found[:20]]
    return _tell(request, 422, f"{errors[0].field}: {errors[0].detail}", errors)


async def _http_error(request: Request, error: Exception) -> Response:
    failure = cast("HTTPException", error)
    headers = dict(failure.headers or {})
    if failure.status_code == 405:  # the framework names those of the first route of this path alone
        headers["Allow"] = ", ".join(sorted(_methods_here(request)))
    return _tell(request, failure.status_code, str(failure.detail), headers=headers)


async def _failed(request: Request, error: Exception) -> Response:
    if is_transient(error):
        log.warning("database_away", **what_failed(error))
        return _tell(request, 503, "The database is away. Try again.", headers={"Retry-After": "5"})
    log.error("request_failed", **what_failed(error))
    return _tell(request, 500, "The server failed; the record of the sessions is not affected.")


def _methods_here(request: Request) -> set[str]:
    routes = (route for route in request.app.routes if route.matches(request.scope)[0] is not Match.NONE)
    return {method for route in routes for method in getattr(route, "methods", None) or ()}


def _tell(
    request: Request,
    status: int,
    detail: str,
    errors: Sequence[FieldError] = (),
    headers: dict[str, str] | None = None,
) -> Response:
    if not wants_page(request):
        return problem(status, detail, errors, headers)
    if status == 401:  # who is not signed in is asked to
        query = f"?{request.url.query}" if request.url.query else ""
        here = f"{request.url.path}{query}" if request.method == "GET" else "/session-history"
        return RedirectResponse(f"/sign-in?{urlencode({'next': here})}", 303)
    known = getattr(request.state, "token", None)
    viewer = known.viewer if known else None
    title = _TITLES.get(status, HTTPStatus(status).phrase)
    return page("problem.html", http_status=status, title=title, detail=detail, viewer=viewer)


def _name(loc: Sequence[Any]) -> str:
    """`('body', 'transcript', 3, 'text')` as `transcript.3.text`; an unknown field's name is cut."""
    parts = [str(part)[:64] for part in loc]
    if parts and parts[0] in ("body", "query", "path", "header") and len(parts) > 1:
        parts = parts[1:]
    return ".".join(parts) or "body"


def _said(error: Any) -> str:
    said = str(error["msg"]).removeprefix("Value error, ")
    return "is not valid JSON" if error["type"] == "json_invalid" else said
