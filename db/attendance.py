"""Who is in a session, as clients tell it: for sessions that no recorder sees, or before it does."""

from typing import Any
from uuid import UUID

from db.history import note_reading
from db.pool import Pool
from db.queries import queries
from db.quotas import check_join
from db.viewer import Viewer, seen_by

Row = dict[str, Any]


async def join(
    pool: Pool, viewer: Viewer, session_id: UUID, user_id: UUID, name: str
) -> tuple[Row, bool] | None:
    """The stay that begins or goes on, and whether it is new; None: not the viewer's to tell.

    A session's owner and staff tell of everybody, whom LiveKit saw in it of themselves.
    """
    async with seen_by(pool, viewer) as connection:
        session = await connection.fetchrow(queries["lock_session"], viewer.only, session_id)
        if session is None or not (viewer.admin or viewer.user_id in (session["user_id"], user_id)):
            return None
        there = await connection.fetchrow(queries["open_stay"], session_id, user_id)
        if there is not None:
            return dict(there), False
        await check_join(connection, session_id)
        role = "student" if session["user_id"] == user_id else "participant"
        (stay,) = await connection.fetch(queries["tell_join"], session_id, user_id, name, role)
        return dict(stay), True


async def leave(pool: Pool, viewer: Viewer, participant_id: UUID) -> Row | None:
    """The stay, ended; one that a recorder saw is as the recorder saw it."""
    async with seen_by(pool, viewer) as connection:
        row = await connection.fetchrow(queries["tell_leave"], viewer.only, participant_id)
    return dict(row) if row else None


async def of_session(pool: Pool, viewer: Viewer, session_id: UUID) -> list[Row] | None:
    """All stays of a session; None: not the viewer's."""
    async with seen_by(pool, viewer) as connection:
        row = await connection.fetchrow(queries["one_session"], viewer.only, session_id)
        if row is None:
            return None
        await note_reading(connection, viewer, row)
        return [dict(row) for row in await connection.fetch(queries["load_stays"], session_id)]
