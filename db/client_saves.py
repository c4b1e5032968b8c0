"""What clients tell of their sessions. A recorder that had a session knows its times and its end better."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from db.pool import Connection, Pool
from db.queries import queries
from db.quotas import check_opening
from db.viewer import Viewer, seen_by


@dataclass(frozen=True, slots=True)
class Told:
    """A session that a client tells of; what it does not know is None or empty."""

    session_id: UUID
    room_name: str
    mode: str
    start_time: datetime
    counselor_category: str | None = None
    end_time: datetime | None = None
    transcript: list[dict[str, Any]] | None = None
    quality_metrics: dict[str, Any] | None = None


async def begin(pool: Pool, viewer: Viewer, user_id: UUID, told: Told) -> bool:
    """A session in progress of this user; False when there is one of this id already."""
    async with seen_by(pool, viewer) as connection:
        await check_opening(connection, viewer)
        return await _open(connection, user_id, told)


async def save(pool: Pool, viewer: Viewer, user_id: UUID, told: Told) -> bool | None:
    """Merge what a client tells into the one record of the session; however often and at once, it is one.

    True when the session was not known before, None when it is somebody else's. One without an owner
    becomes its teller's: its id is known to those alone who were in its room.
    """
    async with seen_by(pool, viewer) as connection:
        created = await _open(connection, user_id, told)
        if not created and not viewer.admin:
            await connection.execute(queries["adopt_session"], told.session_id)
        if await connection.fetchrow(queries["lock_session"], viewer.only, told.session_id) is None:
            return None
        await connection.execute(
            queries["save_client_record"],
            viewer.only,
            told.session_id,
            told.counselor_category,
            told.start_time,
            told.end_time,
            told.transcript or [],
            told.quality_metrics,
        )
        return created


async def tell_status(pool: Pool, viewer: Viewer, session_id: UUID, status: str) -> dict[str, Any] | None:
    """The session's row after a client told its status; None when it is not the viewer's."""
    async with seen_by(pool, viewer) as connection:
        await connection.execute(queries["tell_status"], viewer.only, session_id, status)
        row = await connection.fetchrow(queries["one_session"], viewer.only, session_id)
    return dict(row) if row else None


async def _open(connection: Connection, user_id: UUID, told: Told) -> bool:
    opened = await connection.fetchval(
        queries["open_session"],
        told.session_id,
        told.room_name,
        user_id,
        told.counselor_category,
        told.mode,
        told.start_time,
    )
    return bool(opened)
