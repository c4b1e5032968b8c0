"""Which session a LiveKit room belongs to: settled once, by its sid, whatever its metadata say later."""

from collections.abc import Collection
from dataclasses import replace
from uuid import UUID

from agent.session.rooms import SessionInfo
from db.pool import Connection, Pool
from db.queries import queries


async def bind(connection: Connection, info: SessionInfo) -> UUID:
    """The session of this room from now on: of all who ask, also at once, the first settles it.

    A room that names no session itself goes on with the one that is recorded in a room of its name just now:
    a restarted LiveKit server has a new sid for it.
    """
    same_name = info.room_name if info.id_from == "sid" else None
    session_id: UUID = await connection.fetchval(
        queries["bind_room"], info.room_sid, info.session_id, same_name
    )
    return session_id


async def bound(pool: Pool, info: SessionInfo) -> SessionInfo:
    """The same with the session that its room belongs to."""
    async with pool.acquire() as connection:
        return replace(info, session_id=await bind(connection, info))


async def sessions_of_rooms(pool: Pool, room_sids: Collection[str]) -> dict[str, UUID]:
    """Of these rooms those whose session is settled, by sid."""
    if not room_sids:
        return {}
    async with pool.acquire() as connection:
        rows = await connection.fetch(queries["sessions_of_rooms"], list(room_sids))
    return {row["room_sid"]: row["session_id"] for row in rows}
