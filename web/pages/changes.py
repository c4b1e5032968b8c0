"""Server-sent events: a page is told when what it shows has changed, and fetches itself anew."""

import asyncio
from collections.abc import AsyncIterator
from uuid import UUID

import structlog
from fastapi import Request
from fastapi.responses import StreamingResponse

from agent.session.errors import what_failed
from db import history
from db.viewer import Viewer

log = structlog.stdlib.get_logger()
EVERY = 2.0  # seconds between looks; a look is two reads by index
_HEARTBEAT = 15.0  # seconds after which a proxy might think the connection dead
_LASTING = 600.0  # seconds; the browser connects again, and its token is checked again


def stream(request: Request, viewer: Viewer, session_id: UUID | None = None) -> StreamingResponse:
    """Tell of changes to the list, or to one session; ends when its viewer signs out."""
    return StreamingResponse(_events(request, viewer, session_id), media_type="text/event-stream")


async def _events(request: Request, viewer: Viewer, session_id: UUID | None) -> AsyncIterator[str]:
    known, silent = "", 0.0
    yield "retry: 3000\n\n"
    for _ in range(int(_LASTING / EVERY)):
        try:
            if not await request.app.state.sign_ins.goes_on(request, request.state.token):
                return
            now = await history.freshness(request.app.state.pool, viewer, session_id)
        except Exception as error:
            log.warning("freshness_unknown", **what_failed(error))
            now = known
        if known not in ("", now):
            silent = 0.0
            yield "event: changed\ndata: \n\n"
        elif silent >= _HEARTBEAT:
            silent = 0.0
            yield ": still here\n\n"
        known, silent = now, silent + EVERY
        await asyncio.sleep(EVERY)
