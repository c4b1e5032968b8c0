"""What a room's name and metadata, and a participant's, say about the session."""

import json
import re
from dataclasses import dataclass, replace
from typing import Any, Literal
from uuid import UUID, uuid5

from agent.session.events import Role, Speaker

# Sessions of rooms that carry no UUID of their own get one derived from the room's sid in this namespace.
ROOM_SID_NAMESPACE = UUID("6f1d2b86-8f0c-5d0e-9a53-2c1f7f3a5e11")
_SPEAKERS: dict[Role, Speaker] = {"student": "user", "counselor": "counselor", "participant": "participant"}
_CLAIMABLE: tuple[Role, ...] = ("student", "counselor")
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class SessionInfo:
    """What is known of a session before anything happens in its room."""

    session_id: UUID
    room_name: str
    room_sid: str
    user_id: UUID | None = None
    counselor_category: str | None = None
    mode: Literal["voice", "video"] = "video"


def session_info(room_name: str, room_sid: str, metadata: str, prefix: str) -> tuple[SessionInfo, list[str]]:
    """The session a room belongs to, and what is wrong with its metadata (each ignored, none fatal)."""
    said, problems = _metadata(metadata)
    from_name = _uuid(room_name.removeprefix(prefix))
    session_id = _uuid(said.get("session_id")) or from_name or uuid5(ROOM_SID_NAMESPACE, room_sid)
    info = SessionInfo(session_id, storable(room_name), room_sid)
    for key in ("session_id", "user_id"):
        if said.get(key) is not None and _uuid(said[key]) is None:
            problems.append(f"{key} is not a UUID")
    info = replace(info, user_id=_uuid(said.get("user_id")))
    if isinstance(category := said.get("counselor_category"), str):
        info = replace(info, counselor_category=storable(category))
    elif category is not None:
        problems.append("counselor_category is not text")
    if (mode := said.get("mode")) == "voice":
        info = replace(info, mode="voice")
    elif mode is not None and mode != "video":
        problems.append("mode is neither video nor voice")
    return info, problems


def role_of(identity: str, attributes: dict[str, str], metadata: str) -> Role:
    """Attribute `role`, else `role` in JSON metadata, else how the identity begins, else `participant`."""
    said, _ = _metadata(metadata)
    for claim in (attributes.get("role"), said.get("role")):
        for role in _CLAIMABLE:
            if claim == role:
                return role
    return next((role for role in _CLAIMABLE if identity.startswith(role)), "participant")


def speaker_of(role: Role) -> Speaker:
    """How a transcript names someone of this role."""
    return _SPEAKERS[role]


def user_id_of(role: Role, identity: str, attributes: dict[str, str]) -> str | None:
    """A student's user id: attribute `user_id`, else the identity where it is a UUID."""
    found = _uuid(attributes.get("user_id")) or (_uuid(identity) if role == "student" else None)
    return str(found) if found else None


def storable(text: str) -> str:
    """The text without what PostgreSQL cannot hold: NUL and lone surrogates."""
    return _UNSTORABLE.sub("", text)


def _metadata(metadata: str) -> tuple[dict[str, Any], list[str]]:
    if not metadata.strip():
        return {}, []
    try:
        said = json.loads(metadata)
    except (ValueError, RecursionError):
        return {}, ["not JSON"]
    return (said, []) if isinstance(said, dict) else ({}, ["not a JSON object"])


def _uuid(text: Any) -> UUID | None:
    try:
        return UUID(text) if isinstance(text, str) else None
    except ValueError:
        return None
