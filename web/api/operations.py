"""For whoever runs it: clean-up, health, metrics."""

import asyncio

import structlog
from fastapi import APIRouter, Request, Response
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from agent.cleanup import clean_up
from agent.session.errors import what_failed
from db.viewer import may_act
from web.api.shown import Check, CleanedUp, Health
from web.auth import Staff
from web.problems import Problem, responses

router = APIRouter(tags=["operations"])
log = structlog.stdlib.get_logger()
_PATIENCE = 2.0  # seconds


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
    responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}}},
)
async def metrics() -> Response:
    """Prometheus."""
    return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)


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
