"""`/admin`: for staff. Who records what just now, what waits, and a button that cleans up."""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import RedirectResponse, Response

from db.viewer import Viewer
from web.api import operations
from web.api.overview import Overview, UnderWay, Waiting, WorkerSeen, show
from web.auth import OfPage, staff
from web.pages import words
from web.pages.rendering import page
from web.pages.room import has_rooms

router = APIRouter(include_in_schema=False)


async def _staff_of_page(viewer: OfPage) -> Viewer:
    return await staff(viewer)


StaffOfPage = Annotated[Viewer, Depends(_staff_of_page)]


@router.get("/admin")
async def admin(
    request: Request, viewer: StaffOfPage, completed: Annotated[int | None, Query(ge=0)] = None
) -> Response:
    """`completed`: how many sessions the clean-up just asked for has completed."""
    found = await show(request, viewer)
    categories = request.app.state.settings.web_category_names
    return page(
        "admin.html",
        viewer=viewer,
        cards=_cards(found),
        sessions=[_session(session, found.at, categories) for session in found.sessions],
        more=found.more,
        workers=[_worker(worker) for worker in found.workers],
        given_up=found.rooms_given_up,
        completed=completed,
        can_clean_up=has_rooms(request.app.state.recorder),
    )


@router.post("/admin/cleanup")
async def clean_up(request: Request, viewer: StaffOfPage) -> Response:
    done = await operations.cleanup(request, viewer)
    return RedirectResponse(f"/admin?completed={done.completed}", 303)


def _cards(found: Overview) -> list[dict[str, Any]]:
    """What is well, and what is not, at a glance."""
    recorded = sum(session.recorded for session in found.sessions)
    alive = [worker for worker in found.workers if worker.alive]
    ready = sum(worker.ready for worker in alive)
    disk = [held for worker in found.workers for held in (worker.spool, worker.audio)]
    waiting = sum(held.waiting.files for held in disk)
    rejected = sum(held.rejected.files for held in disk)
    return [
        {
            "name": "Sessions in progress",
            "figure": f"{len(found.sessions)}{'+' if found.more else ''}",
            "more": f"{recorded} with a recorder",
            "well": recorded == len(found.sessions),
        },
        {
            "name": "Workers",
            "figure": str(len(alive)),
            "more": f"{ready} ready for further rooms",
            "well": ready > 0,
        },
        {
            "name": "Waiting on disk",
            "figure": str(waiting),
            "more": f"{rejected} rejected: see README" if rejected else "none rejected",
            "well": not rejected,
        },
        {
            "name": "Rooms compared with recorders",
            "figure": ago((found.at - found.reconciled_at).total_seconds())
            if found.reconciled_at
            else "never",
            "more": f"{len(found.rooms_given_up)} rooms given up"
            if found.rooms_given_up
            else "none given up",
            "well": bool(found.reconciled_at) and not found.rooms_given_up,
        },
    ]


def _session(session: UnderWay, at: datetime, categories: Mapping[str, str]) -> dict[str, Any]:
    left = (session.lease_expires_at - at).total_seconds() if session.lease_expires_at else None
    if session.recorded:
        state, word = "good", "Recorded"
    elif session.epoch:
        state, word = "poor", "No recorder"
    else:
        state, word = "unknown", "Told by a client only"
    return {
        "id": session.session_id,
        "title": words.category(session.model_dump(), categories),
        "mode": session.mode,
        "room": session.room_name,
        "start": session.start_time,
        "lasting": words.duration((at - session.start_time).total_seconds()),
        "present": session.present,
        "state": state,
        "word": word,
        "worker": session.worker,
        "epoch": session.epoch,
        "lease": _lease(left),
    }


def _lease(left: float | None) -> str:
    if left is None:
        return ""
    return f"for {left:.0f} s unless renewed" if left >= 0 else f"ran out {ago(-left)}"


def _worker(worker: WorkerSeen) -> dict[str, Any]:
    if not worker.alive:
        state, word = "poor", "No sign of life"
    elif worker.draining:
        state, word = "fair", "Draining"
    elif worker.ready:
        state, word = "good", "Ready"
    else:
        state, word = "fair", "Full"
    return {
        "state": state,
        "word": word,
        "told": worker,
        "spool": _disk(worker.spool),
        "audio": _disk(worker.audio),
    }


def _disk(held: Waiting) -> str:
    """`2 files, 1.4 MB; 1 rejected`."""
    if not held.waiting.files and not held.rejected.files:
        return "empty"
    parts = [f"{held.waiting.files} files, {held.waiting.bytes / 1e6:.1f} MB"] if held.waiting.files else []
    return "; ".join([*parts, *([f"{held.rejected.files} rejected"] if held.rejected.files else [])])


def ago(seconds: float) -> str:
    """`3 s ago`; what took less than a second was just now."""
    return "just now" if seconds < 1 else f"{words.duration(seconds)} ago"
