"""Stays in rooms as LiveKit's webhooks tell of them, to whichever worker.

The room's recorder takes in what it did not see.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import cast

from agent.session.events import Role
from db.pool import Pool
from db.queries import queries


@dataclass(frozen=True, slots=True)
class Visit:
    """One stay of one participant; `left_at` is None while nobody told of its end."""

    participant_sid: str
    identity: str
    name: str
    role: Role
    is_agent: bool
    user_id: str | None
    joined_at: datetime
    left_at: datetime | None = None


async def note_visit(pool: Pool, room_sid: str, visit: Visit) -> None:
    """Told of a join or a leave, in whatever order, and perhaps twice."""
    async with pool.acquire() as connection:
        await connection.execute(
            queries["note_visit"],
            room_sid,
            visit.participant_sid,
            visit.identity,
            visit.name,
            visit.role,
            visit.is_agent,
            visit.user_id,
            visit.joined_at,
            visit.left_at,
        )


async def visits_of(pool: Pool, room_sid: str, known: Sequence[str], open_: Sequence[str]) -> list[Visit]:
    """The stays in a room that are not `known`, and the ends of those that are `open_`; both are sids."""
    async with pool.acquire() as connection:
        rows = await connection.fetch(queries["visits_of"], room_sid, known, open_)
    return [
        Visit(
            row["participant_sid"],
            row["identity"],
            row["name"],
            cast("Role", row["role"]),
            row["is_agent"],
            row["user_id"],
            row["joined_at"],
            row["left_at"],
        )
        for row in rows
    ]
