"""`/session-history`: the list, one session, and what keeps them live."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Any
from urllib.parse import urlencode
from uuid import UUID

from fastapi import APIRouter, Query, Request
from fastapi.responses import RedirectResponse, Response, StreamingResponse

from db import history
from db.viewer import Viewer
from web.auth import OfPage
from web.cursor import cursor_after, place
from web.pages import changes, words
from web.pages.conversation import anchor
from web.pages.detail import view
from web.pages.rendering import page
from web.pages.room import has_rooms
from web.record import Record, load
from web.threads import in_thread

router = APIRouter(include_in_schema=False)
PAGE = 20
MODES = {"": "Any kind", "video": "Video", "voice": "Voice"}
STATUSES = {"": "Any status", "in_progress": "In progress", "completed": "Completed"}


@router.get("/")
async def home() -> Response:
    return RedirectResponse("/session-history", 307)


@router.get("/session-history")
async def sessions(
    request: Request,
    viewer: OfPage,
    q: Annotated[str, Query(max_length=200)] = "",
    mode: str = "",
    status: str = "",
    cursor: Annotated[str, Query(max_length=200)] = "",
) -> Response:
    """The list. A filter that does not exist is none."""
    mode, status = (mode if mode in MODES else ""), (status if status in STATUSES else "")
    q = q.replace("\0", " ").strip()
    wanted = history.Wanted(PAGE, mode or None, status or None, q or None, place(cursor))
    found = await history.page(request.app.state.pool, viewer, wanted)
    filters = {name: value for name, value in (("q", q), ("mode", mode), ("status", status)) if value}
    older = {**filters, "cursor": cursor_after(found.sessions[-1])} if found.more else None
    return page(
        "history.html",
        viewer=viewer,
        lines=[_line(row, request.app.state.settings.web_category_names) for row in found.sessions],
        q=q,
        mode=mode,
        status=status,
        modes=MODES,
        statuses=STATUSES,
        filtered=bool(filters),
        later_page=bool(cursor),
        rooms=has_rooms(request.app.state.recorder),
        newest=f"?{urlencode(filters)}" if filters else "/session-history",
        older=f"?{urlencode(older)}" if older else None,
    )


@router.get("/session-history/changes")
async def list_changes(request: Request, viewer: OfPage) -> StreamingResponse:
    return changes.stream(request, viewer)


@router.get("/session-history/{session_id:uuid}")
async def session(request: Request, viewer: OfPage, session_id: UUID) -> Response:
    record = await load(request.app.state.pool, viewer, session_id, readings=True)
    return await in_thread(_session, viewer, record, request.app.state.settings.web_category_names)


def _session(viewer: Viewer, record: Record, categories: Mapping[str, str]) -> Response:
    return page("session.html", viewer=viewer, s=view(record, datetime.now(UTC), categories))


@router.get("/session-history/{session_id:uuid}/changes")
async def session_changes(request: Request, viewer: OfPage, session_id: UUID) -> StreamingResponse:
    return changes.stream(request, viewer, session_id)


def _line(row: dict[str, Any], categories: Mapping[str, str]) -> dict[str, Any]:
    found = row.get("line")
    going_on = row["status"] == "in_progress"
    so_far = (datetime.now(UTC) - row["start_time"]).total_seconds() if going_on else None
    return {
        "id": row["session_id"],
        "title": words.category(row, categories),
        "mode": row["mode"],
        "start": row["start_time"],
        "in_progress": going_on,
        "duration": words.duration(so_far if going_on else row["duration_seconds"]),
        "participants": row["participants"],
        "quality": words.quality(row["quality_metrics"], row["mode"]),
        "found": found and found["text"],
        "found_told": bool(found and found["told"]),
        "anchor": anchor(row["start_time"], datetime.fromisoformat(found["said_at"])) if found else "",
    }
