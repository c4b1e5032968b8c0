"""For whom the web part asks: every query of it runs as a role that sees what this one user may see.

The queries say so too (`user_id = $1 or $1 = any(viewers)`). If one should forget it, PostgreSQL's row-level
security does not.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from uuid import UUID

from db.pool import Connection, Pool
from db.queries import queries


@dataclass(frozen=True, slots=True)
class Viewer:
    """Somebody who is signed in; staff (`admin`) see everybody's sessions, others their own.

    `sees_attended`: and those in which LiveKit saw them under their user id.
    """

    user_id: UUID
    admin: bool = False
    counselor: bool = False
    name: str = ""  # what pages call them
    sees_attended: bool = True

    @property
    def only(self) -> UUID | None:
        """The user whose sessions they may see; None: everybody's."""
        return None if self.admin else self.user_id


async def may_act(pool: Pool) -> bool:
    """Whether the role is there, and this database's user may take it."""
    async with pool.acquire() as connection:
        may: bool = await connection.fetchval(queries["may_act_for_viewers"])
    return may


@asynccontextmanager
async def seen_by(pool: Pool, viewer: Viewer) -> AsyncIterator[Connection]:
    """A transaction in which only what this viewer may see is there."""
    async with pool.acquire() as connection, connection.transaction():
        role = "admin" if viewer.admin else "user"
        attended = "on" if viewer.sees_attended else "off"
        await connection.execute(queries["become_viewer"], str(viewer.user_id), role, attended)
        yield connection
