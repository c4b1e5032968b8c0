"""`/video-session`: the coaching room. What happens in it is `static/room.js`."""

from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit
from uuid import UUID

from fastapi import APIRouter, Query, Request
from fastapi.responses import FileResponse, Response

from agent.settings import Settings
from db import history
from db.pool import Pool
from db.viewer import Viewer
from web.auth import OfPage
from web.guard import CONTENT_SECURITY_POLICY
from web.pages import words
from web.pages.rendering import A_YEAR, STATIC_PATH, page
from web.problems import Problem
from web.record import Row, load

router = APIRouter(include_in_schema=False)
# The one file of its package that browsers need. npm puts it here; nothing of it is built.
LIVEKIT_CLIENT = Path(__file__).parents[2] / "node_modules/livekit-client/dist/livekit-client.umd.js"
_DEVICES = "camera=(self), microphone=(self), geolocation=()"


@router.get("/video-session")
async def room(
    request: Request,
    viewer: OfPage,
    session: Annotated[UUID | None, Query(description="To join it")] = None,
    session_id: Annotated[UUID | None, Query(description="The same, by its name in the API")] = None,
    category: str = "",
) -> Response:
    """A new session, or one of the viewer's to enter (again). `category`: what a new one is about."""
    session = session or session_id
    recorder: Settings = request.app.state.recorder
    if not has_rooms(recorder):
        raise Problem(503, "LIVEKIT_URL and LIVEKIT_API_KEY are not set: there is no room to enter.")
    if not LIVEKIT_CLIENT.is_file():
        raise Problem(
            503, "livekit-client is not installed here: `make setup`, or `npm ci --omit=dev`, gets it."
        )
    row = await _to_enter(request.app.state.pool, viewer, session) if session else None
    answer = page(
        "room.html",
        viewer=viewer,
        title=words.category(row, request.app.state.settings.web_category_names) if row else "New session",
        mode=row["mode"] if row else "",
        category=category.strip(),
        over=bool(row and row["status"] == "completed"),
        room_name=f"{recorder.recorder_room_prefix}{session}" if session else "",
    )
    answer.headers["content-security-policy"] = CONTENT_SECURITY_POLICY.replace(
        "connect-src 'self'", f"connect-src 'self' {_reached_at(recorder.livekit_url)}"
    )
    answer.headers["permissions-policy"] = _DEVICES
    return answer


async def _to_enter(pool: Pool, viewer: Viewer, session_id: UUID) -> Row:
    """One that the viewer sees, or that a counselor may enter."""
    row = await history.for_counselor(pool, viewer, session_id) if viewer.counselor else None
    return row or (await load(pool, viewer, session_id)).row


@router.get(f"{STATIC_PATH}/livekit-client.js")
async def livekit_client() -> Response:
    if not LIVEKIT_CLIENT.is_file():
        raise Problem(404, "livekit-client is not installed here.")
    return FileResponse(LIVEKIT_CLIENT, media_type="text/javascript", headers={"cache-control": A_YEAR})


def has_rooms(recorder: Settings) -> bool:
    return bool(recorder.livekit_url and recorder.livekit_api_key)


def _reached_at(livekit_url: str) -> str:
    """The addresses under which its client calls LiveKit: signals by WebSocket, questions by HTTP."""
    url = urlsplit(livekit_url)
    secure = "s" if url.scheme in ("wss", "https") else ""
    hosts = [url.netloc.rpartition("@")[2]]
    if (url.hostname or "").endswith(".livekit.cloud"):
        hosts.append("*.livekit.cloud")  # its regions
    return " ".join(f"{scheme}{secure}://{host}" for host in hosts for scheme in ("ws", "http"))
