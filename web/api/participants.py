"""Who is in a session, as clients tell it."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Request, Response

from agent.session.user_ids import user_id
from db import attendance
from web.api.shown import Participant, participant
from web.api.told import ToldJoin, ToldLeave
from web.auth import SignedIn
from web.problems import Problem, not_found, responses

router = APIRouter(prefix="/api/coaching", tags=["participants"])


@router.post(
    "/participants",
    status_code=201,
    responses={200: {"model": Participant}, **responses(400, 401, 403, 404, 413, 422, 429)},
)
async def join(request: Request, response: Response, viewer: SignedIn, told: ToldJoin) -> Participant:
    """Somebody joins a session of yours. 200 with the stay that goes on, when they are there already."""
    who = user_id(told.user_id, request.app.state.recorder.web_user_id_namespace)
    assert who is not None  # `ToldJoin` takes nobody else
    stay = await attendance.join(request.app.state.pool, viewer, told.session_id, who, told.name or "")
    if stay is None:
        raise not_found()
    row, created = stay
    response.status_code = 201 if created else 200
    return participant(row)


@router.patch("/participants", responses=responses(400, 401, 403, 404, 413, 422))
async def leave(request: Request, viewer: SignedIn, told: ToldLeave) -> Participant:
    """Somebody leaves. When the recorder saw them, it sees that too, and its times stand."""
    row = await attendance.leave(request.app.state.pool, viewer, told.participant_id)
    if row is None:
        raise Problem(404, "There is no such participant, or the session is not yours.")
    return participant(row)


@router.get("/participants", responses=responses(401, 404, 422))
async def participants(
    request: Request, viewer: SignedIn, session_id: Annotated[UUID, Query(alias="sessionId")]
) -> list[Participant]:
    """Everybody's stays in a session, by the time they joined."""
    rows = await attendance.of_session(request.app.state.pool, viewer, session_id)
    if rows is None:
        raise not_found()
    return [participant(row) for row in rows]
