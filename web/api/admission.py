"""`POST /api/sessions`: a new session, and what a client needs to enter its room.

Request and response are those of LiveKit's token endpoints, so that its SDKs' `TokenSource.endpoint` works.
"""

import json
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

from fastapi import APIRouter, Request
from livekit import api

from agent.session.events import milliseconds
from agent.settings import Settings
from db import client_saves, history
from db.viewer import Viewer
from web.api.shown import Credentials
from web.api.told import Admission
from web.auth import SignedIn
from web.problems import Problem, not_found, responses

router = APIRouter(prefix="/api", tags=["sessions"])
_VALID = timedelta(hours=1)  # to enter; who is in may stay
_OURS = {"role", "user_id"}


@router.post("/sessions", status_code=201, responses=responses(400, 401, 403, 404, 413, 422, 429, 503))
async def enter(request: Request, viewer: SignedIn, wanted: Admission | None = None) -> Credentials:
    """Begin a session, or join one of yours again (`room_name`)."""
    wanted = wanted or Admission()
    recorder: Settings = request.app.state.recorder
    if not recorder.livekit_url or not recorder.livekit_api_key:
        raise Problem(503, "LIVEKIT_URL and LIVEKIT_API_KEY are not set: there is no room to enter.")
    _refuse_what_is_not_theirs(viewer, wanted)
    pool = request.app.state.pool
    if wanted.room_name:
        session_id = _session_of(wanted.room_name, recorder.recorder_room_prefix)
        known = await history.one(pool, viewer, session_id)
        if known is None:
            raise not_found()
        owner, category, mode = (known.row[k] for k in ("user_id", "counselor_category", "mode"))
    else:
        session_id, owner, category, mode = uuid4(), viewer.user_id, wanted.counselor_category, wanted.mode
        room_name = f"{recorder.recorder_room_prefix}{session_id}"
        told = client_saves.Told(session_id, room_name, mode, milliseconds(datetime.now(UTC)), category)
        await client_saves.begin(pool, viewer, owner, told)
    about = {"session_id": session_id, "user_id": owner, "counselor_category": category, "mode": mode}
    room_name = f"{recorder.recorder_room_prefix}{session_id}"
    metadata = json.dumps({k: str(v) for k, v in about.items() if v is not None})
    return Credentials(
        server_url=recorder.livekit_url,
        participant_token=_token(recorder, viewer, wanted, room_name, metadata),
        room_name=room_name,
        session_id=session_id,
    )


def _refuse_what_is_not_theirs(viewer: Viewer, wanted: Admission) -> None:
    if wanted.room_config is not None:
        raise Problem(422, "is not for clients to set", field="room_config")
    if viewer.admin:
        return
    if wanted.participant_identity is not None:
        raise Problem(422, "is not for clients to set", field="participant_identity")
    if theirs := sorted(_OURS & set(wanted.participant_attributes or {})):
        raise Problem(422, "is not for clients to set", field=f"participant_attributes.{theirs[0]}")


def _session_of(room_name: str, prefix: str) -> UUID:
    try:
        return UUID(room_name.removeprefix(prefix))
    except ValueError:
        raise not_found() from None


def _token(recorder: Settings, viewer: Viewer, wanted: Admission, room_name: str, metadata: str) -> str:
    """A user enters as the student of their own session, staff as a counselor unless they say otherwise."""
    role = "counselor" if viewer.admin else "student"
    attributes = {"role": role, "user_id": str(viewer.user_id), **(wanted.participant_attributes or {})}
    grants = api.VideoGrants(
        room_join=True, room=room_name, can_publish=True, can_subscribe=True, can_publish_data=True
    )
    return (
        api.AccessToken(recorder.livekit_api_key, recorder.livekit_api_secret.get_secret_value())
        .with_identity(wanted.participant_identity or f"{role}-{viewer.user_id}")
        .with_name(wanted.participant_name or "")
        .with_metadata(wanted.participant_metadata or "")
        .with_attributes(attributes)
        .with_grants(grants)
        .with_room_config(api.RoomConfiguration(metadata=metadata))
        .with_ttl(_VALID)
        .to_jwt()
    )
