"""Sessions: save, list, one, status, words."""

from enum import StrEnum
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import JSONResponse

from agent.session import subtitles
from db import client_saves, history
from web.api.shown import Found, Saved, SessionDetail, SessionPage, SessionSummary, participant
from web.api.told import Mode, Status, ToldSession, ToldStatus
from web.auth import SignedIn
from web.cursor import cursor_after, place
from web.problems import Problem, not_found, responses
from web.record import Record, load

router = APIRouter(prefix="/api", tags=["sessions"])
LARGEST_PAGE = 100


class Form(StrEnum):
    """In which form the words are wanted."""

    JSON = "json"
    TXT = "txt"
    VTT = "vtt"
    SRT = "srt"


MEDIA = {Form.TXT: "text/plain", Form.VTT: "text/vtt", Form.SRT: "application/x-subrip"}
WRITERS = {Form.TXT: subtitles.text, Form.VTT: subtitles.webvtt, Form.SRT: subtitles.subrip}


@router.post(
    "/v1/sessions/save", responses={201: {"model": Saved}, **responses(400, 401, 403, 404, 413, 422)}
)
@router.post("/sessions/save", responses={201: {"model": Saved}, **responses(400, 401, 403, 404, 413, 422)})
async def save(request: Request, response: Response, viewer: SignedIn, told: ToldSession) -> Saved:
    """Save a finished session; repeat it as often as you like.

    The recorder's save and this one become one record, in which field by field the fuller wins. Of a session
    that a recorder has had, start, end and status are the recorder's. 201 when it was not known before.
    """
    if told.user_id not in (None, viewer.user_id) and not viewer.admin:
        raise Problem(403, "is not the token's user", field="user_id")
    quality = told.quality_metrics.model_dump(exclude_none=True) if told.quality_metrics else None
    saved = await client_saves.save(
        request.app.state.pool,
        viewer,
        told.user_id or viewer.user_id,
        client_saves.Told(
            told.session_id,
            f"{request.app.state.recorder.recorder_room_prefix}{told.session_id}",
            told.mode,
            told.start_time,
            told.counselor_category or None,
            told.end_time,
            [words.stored() for words in sorted(told.transcript, key=lambda w: w.timestamp)],
            quality or None,
        ),
    )
    if saved is None:
        raise not_found()
    response.status_code = 201 if saved.created else 200
    return Saved(
        session_id=told.session_id,
        created=saved.created,
        mode=saved.mode,
        message="Session saved to your history",
    )


@router.get("/sessions", responses=responses(401, 422))
async def sessions(
    request: Request,
    viewer: SignedIn,
    mode: Mode | None = None,
    status: Status | None = None,
    q: Annotated[
        str | None, Query(max_length=200, description='Words in the transcript; "a phrase", -without')
    ] = None,
    limit: Annotated[int, Query(ge=1, le=LARGEST_PAGE)] = 20,
    cursor: Annotated[str | None, Query(max_length=200, description="`next` of the page before")] = None,
) -> SessionPage:
    """The history, newest first: your own sessions; everybody's for staff."""
    wanted = history.Wanted(limit, mode, status, (q or "").replace("\0", " ").strip() or None, place(cursor))
    page = await history.page(request.app.state.pool, viewer, wanted)
    return SessionPage(
        sessions=[_summary(row) for row in page.sessions],
        next=cursor_after(page.sessions[-1]) if page.more else None,
    )


@router.get("/sessions/{session_id:uuid}", responses=responses(401, 404, 422))
async def session(request: Request, viewer: SignedIn, session_id: UUID) -> SessionDetail:
    """One session; while it goes on, as far as it is known."""
    return _detail(await load(request.app.state.pool, viewer, session_id))


@router.patch("/sessions/{session_id:uuid}", responses=responses(400, 401, 403, 404, 413, 422))
async def tell_status(
    request: Request, viewer: SignedIn, session_id: UUID, told: ToldStatus
) -> SessionDetail:
    """Tell that a session goes on, or is over.

    Of a session that a recorder has had, the recorder knows: it stays as it is. The answer is what holds.
    """
    pool = request.app.state.pool
    if await client_saves.tell_status(pool, viewer, session_id, told.status) is None:
        raise not_found()
    return _detail(await load(pool, viewer, session_id))


_FILES: dict[str, Any] = {
    "application/json": {"schema": {"type": "array", "items": {"type": "object"}}},
    **{media: {"schema": {"type": "string"}} for media in MEDIA.values()},
}


@router.get(
    "/sessions/{session_id:uuid}/transcript.{form}",
    response_class=Response,
    responses={
        200: {"content": _FILES},
        **responses(401, 404, 422),
    },
)
async def transcript(request: Request, viewer: SignedIn, session_id: UUID, form: Form) -> Response:
    """The words, as JSON, plain text, WebVTT or SubRip."""
    record = await load(request.app.state.pool, viewer, session_id)
    words = record.row["transcript"]
    # Where nobody but a client tells of a session, the file's name says so; else each line of theirs does.
    name = f"{'' if record.recorded else 'told-'}session-{session_id}.{form}"
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    if form is Form.JSON:
        return JSONResponse(words, headers=headers)
    if not record.recorded:
        words = [{**entry, "told_by": None} for entry in words]
    body = WRITERS[form](words, record.start, record.names)
    return Response(body, headers=headers, media_type=MEDIA[form])


def _summary(row: dict[str, Any]) -> SessionSummary:
    line = row.get("line")
    found = Found(text=line["text"], timestamp=line["said_at"]) if line else None
    return SessionSummary(**row, coverage=row["coverage_share"], found=found)


def _detail(record: Record) -> SessionDetail:
    people = [participant(row) for row in record.participants]
    return SessionDetail(**record.row, conversation=record.conversation(), participants=people)
