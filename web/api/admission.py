"""`POST /api/sessions`: a new session, and what a client needs to enter its room.

Request and response are those of LiveKit's token endpoints, so that its SDKs' `TokenSource.endpoint` works.
"""

import json
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

from fastapi import APIRouter, Request
from livekit import api

from agent.session.events import Role, milliseconds
from agent.settings import Settings
from db import client_saves, history
from db.pool import Pool
from db.viewer import Viewer
from web.api.shown import Credentials
from web.api.told import Admission
from web.auth import SignedIn
from web.problems import Problem, not_found, responses

router = APIRouter(prefix="/api", tags=["sessions"])
_VALID = timedelta(hours=1)  # to enter; who is in may stay
_OURS = {"role", "user_id"}
_COUNSELOR: Role = "counselor"


@router.post("/sessions", status_code=201, responses=responses(400, 401, 403, 404, 413, 422, 429, 503))
async def enter(request: Request, viewer: SignedIn, wanted: Admission | None = None) -> Credentials:
    """Begin a session, or join one of yours again (`room_name`)."""
    wanted = wanted or Admission()
    recorder: Settings = request.app.state.recorder
    if not recorder.livekit_url or not recorder.livekit_api_key:
        raise Problem(503, "LIVEKIT_URL and LIVEKIT_API_KEY are not set: there is no room to enter.")
    _refuse_what_is_not_theirs(viewer, wanted)
    pool, prefix = request.app.state.pool, recorder.recorder_room_prefix
    if wanted.room_name:
        session, role = await _to_join(pool, viewer, _session_of(wanted.room_name, prefix))
    else:
        session, role = await _to_begin(pool, viewer, wanted, prefix)
    room_name = f"{prefix}{session.session_id}"
    metadata = json.dumps({k: str(v) for k, v in asdict(session).items() if v is not None})
    return Credentials(
        server_url=recorder.livekit_url,
        participant_token=_token(recorder, viewer, role, wanted, room_name, metadata),
        room_name=room_name,
        session_id=session.session_id,
    )


@dataclass(frozen=True, slots=True)
class _Session:
    """What the room's metadata tell of it."""

    session_id: UUID
    user_id: UUID | None
    counselor_category: str | None
    mode: str


async def _to_join(pool: Pool, viewer: Viewer, session_id: UUID) -> tuple[_Session, Role]:
    """One that the viewer sees, or that a counselor may enter, and as what. Raises `Problem` 404 or 403."""
    if viewer.counselor and not viewer.admin:
        row = await history.for_counselor(pool, viewer, session_id, enters=True)
        role = _COUNSELOR
    else:
        known = await history.one(pool, viewer, session_id)
        row, role = (known.row, _role(viewer, known)) if known else (None, _COUNSELOR)
    if row is None:
        raise not_found()
    return _Session(session_id, row["user_id"], row["counselor_category"], row["mode"]), role


def _role(viewer: Viewer, known: history.Seen) -> Role:
    """The student of their own session; anybody else as what LiveKit saw them."""
    row = known.row
    if viewer.admin:
        return _COUNSELOR
    if row["owner_proof"] == "saved" and viewer.user_id not in row["viewers"]:
        # Whoever saves an id first would be the first in the room of whose it is.
        raise Problem(
            403, "Nobody opened the room of this session here: it is only known from what was saved."
        )
    if row["user_id"] == viewer.user_id:
        return "student"
    seen = (p["role"] for p in known.participants if p["user_id"] == viewer.user_id)
    return "counselor" if "counselor" in seen else "participant"


async def _to_begin(pool: Pool, viewer: Viewer, wanted: Admission, prefix: str) -> tuple[_Session, Role]:
    """A new one, and as what they enter: the viewer's own; a counselor's is that of the student who comes."""
    session_id, is_counselor = uuid4(), viewer.counselor and not viewer.admin
    owner = None if is_counselor else viewer.user_id
    told = client_saves.Told(
        session_id,
        f"{prefix}{session_id}",
        wanted.mode,
        milliseconds(datetime.now(UTC)),
        wanted.counselor_category,
    )
    await client_saves.begin(pool, viewer, owner, told, counselor_id=viewer.user_id if is_counselor else None)
    role: Role = "counselor" if viewer.admin or viewer.counselor else "student"
    return _Session(session_id, owner, wanted.counselor_category, wanted.mode), role


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


def _token(
    recorder: Settings, viewer: Viewer, role: Role, wanted: Admission, room_name: str, metadata: str
) -> str:
    """Who enters says as what, and who they are, by what they cannot change."""
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
