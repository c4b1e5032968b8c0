"""Sessions: save, list, one, status, words."""

from enum import StrEnum
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.responses import JSONResponse

from agent.session import subtitles
from agent.session.user_ids import user_id
from db import client_saves, history
from web.api.shown import Found, Saved, SessionDetail, SessionPage, SessionSummary, participant
from web.api.told import Mode, Status, ToldSession, ToldStatus
from web.auth import SignedIn
from web.bodies import large_body, told_by
from web.cursor import cursor_after, place
from web.problems import Problem, not_found, responses
from web.record import Record, load
from web.threads import in_thread

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


_SAVING: dict[str, Any] = {
    "responses": {201: {"model": Saved}, **responses(400, 401, 403, 404, 413, 422)},
    "openapi_extra": told_by(ToldSession),
}


@router.post("/v1/sessions/save", **_SAVING)
@router.post("/sessions/save", **_SAVING)
async def save(
    request: Request,
    response: Response,
    viewer: SignedIn,
    told: Annotated[ToldSession, Depends(large_body(ToldSession))],
) -> Saved:
    """Save a finished session; repeat it as often as you like.

    Figures may be numbers or their text; loss above 100 % counts as 100; blank lines and unknown fields are
    left out; the body is JSON whatever its `Content-Type` says. Of a session that a recorder has had, words,
    start, end and status are the recorder's: what is told stands beside them. 201 when it was not known.
    """
    recorder = request.app.state.recorder
    of_user = user_id(told.user_id, recorder.web_user_id_namespace) or viewer.user_id
    if of_user != viewer.user_id and not viewer.admin:
        raise Problem(403, "is not the token's user", field="user_id")
    client_record = await in_thread(_told, told, recorder.recorder_room_prefix)
    async with request.app.state.saving:
        saved = await client_saves.save(request.app.state.pool, viewer, of_user, client_record)
    if saved is None:
        raise not_found()
    response.status_code = 201 if saved.created else 200
    return Saved(
        session_id=told.session_id,
        created=saved.created,
        mode=saved.mode,
        message="Session saved to your history",
    )


def _told(told: ToldSession, room_prefix: str) -> client_saves.Told:
    return client_saves.Told(
        told.session_id,
        f"{room_prefix}{told.session_id}",
        told.mode,
        told.start_time,
        told.counselor_category,
        told.end_time,
        told.words(),
        told.quality_metrics.stored() if told.quality_metrics else None,
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


@router.get("/sessions/{session_id:uuid}", response_model=SessionDetail, responses=responses(401, 404, 422))
async def session(request: Request, viewer: SignedIn, session_id: UUID) -> Response:
    """One session; while it goes on, as far as it is known."""
    return await in_thread(_detail, await load(request.app.state.pool, viewer, session_id))


@router.patch(
    "/sessions/{session_id:uuid}",
    response_model=SessionDetail,
    responses=responses(400, 401, 403, 404, 413, 422),
)
async def tell_status(request: Request, viewer: SignedIn, session_id: UUID, told: ToldStatus) -> Response:
    """Tell that a session goes on, or is over, and since when.

    Of a session that a recorder has had, the recorder knows: it stays as it is. The answer is what holds.
    Without `ended_at` a session ends `duration_seconds` after its start or, where that is not told either,
    now. An end before the start in one request is refused; one before the start that is known already counts
    as that start.
    """
    pool = request.app.state.pool
    times = client_saves.Times(told.started_at, told.ended_at, told.duration_seconds)
    if await client_saves.tell_status(pool, viewer, session_id, told.status, times) is None:
        raise not_found()
    return await in_thread(_detail, await load(pool, viewer, session_id))


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
    return await in_thread(_file, record, form)


def _file(record: Record, form: Form) -> Response:
    words = record.row["transcript"]
    # Where nobody but a client tells of a session, the file's name says so; else each line of theirs does.
    name = f"{'' if record.recorded else 'told-'}session-{record.row['session_id']}.{form}"
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    if form is Form.JSON:
        return JSONResponse(words, headers=headers)
    if not record.recorded:
        words = [{**entry, "told_by": None} for entry in words]
    body = WRITERS[form](words, record.start, record.names, record.tellers)
    return Response(body, headers=headers, media_type=MEDIA[form])


def _summary(row: dict[str, Any]) -> SessionSummary:
    line = row.get("line")
    found = Found(text=line["text"], timestamp=line["said_at"], told=line["told"]) if line else None
    return SessionSummary(**row, coverage=row["coverage_share"], found=found)


def _detail(record: Record) -> Response:
    people = [participant(row) for row in record.participants]
    detail = SessionDetail(**record.row, conversation=record.conversation(), participants=people)
    return Response(detail.model_dump_json(by_alias=True), media_type="application/json")
