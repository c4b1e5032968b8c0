"""What a room's name and metadata, and a participant's, say about the session."""

import json
import re
from dataclasses import dataclass, field, replace
from typing import Any, Literal
from uuid import UUID, uuid5

from agent.session.events import Role, Speaker
from agent.session.ownership import Owner, Proof
from agent.session.user_ids import DEFAULT_NAMESPACE, as_uuid, user_id

# Sessions of rooms that carry no UUID of their own get one derived from the room's sid in this namespace.
ROOM_SID_NAMESPACE = UUID("6f1d2b86-8f0c-5d0e-9a53-2c1f7f3a5e11")
Mode = Literal["voice", "video"]
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
    mode: Mode = "video"
    proof: Proof = "metadata"  # how `user_id` is known
    mode_known: bool = field(default=False, compare=False)  # else it is the default, and a client may know
    id_from: Literal["metadata", "name", "sid"] = field(default="metadata", compare=False)

    @property
    def owner(self) -> Owner | None:
        return Owner(self.user_id, self.proof) if self.user_id else None

    def updated(self, told: "SessionInfo") -> "SessionInfo":
        """The same session, as the room's metadata tell of it now; what they do not tell stays."""
        return replace(
            self,
            user_id=told.user_id or self.user_id,
            proof=told.proof if told.user_id else self.proof,
            counselor_category=told.counselor_category or self.counselor_category,
            mode=told.mode if told.mode_known else self.mode,
            mode_known=told.mode_known or self.mode_known,
        )


def names_another(told: SessionInfo, session_id: UUID) -> list[str]:
    """What is wrong with metadata that name another session than the one the room began with."""
    another = told.id_from == "metadata" and told.session_id != session_id
    return ["session_id: the room belongs to another session already"] if another else []


def session_info(
    room_name: str, room_sid: str, metadata: str, prefix: str, namespace: UUID = DEFAULT_NAMESPACE
) -> tuple[SessionInfo, list[str]]:
    """The session a room belongs to, and what is wrong with its metadata (each ignored, none fatal).

    `namespace`: of a platform's user ids that are no UUIDs, see `user_ids`.
    """
    said, problems = _metadata(metadata)
    info = SessionInfo(uuid5(ROOM_SID_NAMESPACE, room_sid), storable(room_name), room_sid, id_from="sid")
    if from_name := _uuid(room_name.removeprefix(prefix)):
        info = replace(info, session_id=from_name, id_from="name")
    if told := _uuid(said.get("session_id")):
        info = replace(info, session_id=told, id_from="metadata")
    if said.get("session_id") is not None and _uuid(said["session_id"]) is None:
        problems.append("session_id is not a UUID")
    info = replace(info, user_id=user_id(said.get("user_id"), namespace))
    if said.get("user_id") is not None and info.user_id is None:
        problems.append("user_id is not a user's id")
    if isinstance(category := said.get("counselor_category"), str):
        info = replace(info, counselor_category=storable(category))
    elif category is not None:
        problems.append("counselor_category is not text")
    mode = said.get("mode")
    if mode in ("voice", "video"):
        info = replace(info, mode=mode, mode_known=True)
    elif mode is not None:
        problems.append("mode is neither video nor voice")
    return info, problems


def role_of(identity: str, attributes: dict[str, str], metadata: str, *, is_agent: bool = False) -> Role:
    """What a participant says of their role, or is known by; who is the student otherwise, the fold knows.

    Attribute `role`, else `role` in JSON metadata, else how the identity begins, else an agent is the
    counselor, else `participant`.
    """
    said, _ = _metadata(metadata)
    for claim in (attributes.get("role"), said.get("role")):
        for role in _CLAIMABLE:
            if claim == role:
                return role
    otherwise: Role = "counselor" if is_agent else "participant"
    return next((role for role in _CLAIMABLE if identity.startswith(role)), otherwise)


def speaker_of(role: Role) -> Speaker:
    """How a transcript names someone of this role."""
    return _SPEAKERS[role]


def user_id_of(
    identity: str,
    attributes: dict[str, str],
    namespace: UUID = DEFAULT_NAMESPACE,
    *,
    student: UUID | None = None,
) -> str | None:
    """A participant's user id: attribute `user_id`, else the identity where it is one.

    Any text can be a platform's user id. So an identity is one where it is a UUID, or stands for the
    `student` whom the room's metadata name.
    """
    found = user_id(attributes.get("user_id"), namespace) or as_uuid(identity)
    if found is None and student is not None and user_id(identity, namespace) == student:
        found = student
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
