"""For whoever runs it: clean-up, health, metrics."""

import asyncio
from hmac import compare_digest

import structlog
from fastapi import APIRouter, Request, Response
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from agent.cleanup import clean_up
from agent.session.errors import what_failed
from db.viewer import may_act
from web.api.shown import Check, CleanedUp, Health
from web.auth import Staff
from web.origins import is_loopback
from web.problems import Problem, responses
from web.settings import WebSettings

router = APIRouter(tags=["operations"])
log = structlog.stdlib.get_logger()
_PATIENCE = 2.0  # seconds
_OF_PROXIES = ("forwarded", "x-forwarded-for", "x-real-ip", "via")


@router.post("/api/admin/cleanup", responses=responses(401, 403, 503))
async def cleanup(request: Request, viewer: Staff) -> CleanedUp:
    """Complete sessions that have been in progress for over two hours and whose room is gone."""
    recorder = request.app.state.recorder
    if not recorder.livekit_url:
        raise Problem(503, "LIVEKIT_URL is not set: nobody knows which rooms are gone.")
    log.info("cleanup_asked_for", user_id=str(viewer.user_id))
    try:
        return CleanedUp(completed=await clean_up(recorder))
    except Exception as error:
        log.error("cleanup_failed", **what_failed(error))
        raise Problem(503, "LiveKit or the database did not answer.") from None


@router.get("/health", responses={503: {"model": Health}})
async def health(request: Request, response: Response) -> Health:
    """Whether sessions can be shown; 503 and why, when not."""
    database = await _database(request)
    response.status_code = 200 if database.ok else 503
    return Health(status="ok" if database.ok else "unwell", checks={"database": database})


@router.get(
    "/metrics",
    response_class=Response,
    responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}}, **responses(401, 403)},
)
async def metrics(request: Request) -> Response:
    """Prometheus. With WEB_METRICS_TOKEN for its bearer alone; without, for this machine alone."""
    _require_reader_of_figures(request)
    return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)


def _require_reader_of_figures(request: Request) -> None:
    settings: WebSettings = request.app.state.settings
    wanted = settings.web_metrics_token.get_secret_value()
    if wanted:
        scheme, _, given = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not compare_digest(given.strip().encode(), wanted.encode()):
            challenge = {"WWW-Authenticate": "Bearer"}
            raise Problem(401, "WEB_METRICS_TOKEN is the bearer token.", headers=challenge)
        return
    # Behind a proxy everybody comes from this machine.
    proxied = settings.web_public_url or any(name in request.headers for name in _OF_PROXIES)
    if proxied or request.client is None or not is_loopback(request.client.host):
        raise Problem(403, "Set WEB_METRICS_TOKEN: without it, figures are for this machine alone.")


async def _database(request: Request) -> Check:
    try:
        async with asyncio.timeout(_PATIENCE):
            may = await may_act(request.app.state.pool)
    except TimeoutError:
        return Check(ok=False, reason=f"no answer within {_PATIENCE:.0f} s")
    except Exception as error:
        return Check(ok=False, reason=type(error).__name__)
    if not may:
        return Check(ok=False, reason='the role coaching_web is missing: see README, "What people see"')
    return Check(ok=True)
