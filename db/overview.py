"""What staff see of the recording itself: sessions under way and who records them, workers, what waits."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from agent.session.census import ATTEMPTS
from db.fleet import DEAD_SECONDS
from db.pool import Pool
from db.queries import queries
from db.viewer import Viewer, seen_by

Row = dict[str, Any]
MOST = 500  # sessions, newest first


@dataclass(frozen=True, slots=True)
class Overview:
    """As of one moment. `more`: not all sessions under way are here."""

    sessions: list[Row]
    more: bool
    workers: list[Row]
    given_up: list[Row]
    at: datetime  # by the database's clock, as all times in it


async def overview(pool: Pool, viewer: Viewer) -> Overview:
    """Nothing of it is there for anybody but staff."""
    async with seen_by(pool, viewer) as connection:
        sessions = await connection.fetch(queries["sessions_under_way"], MOST + 1)
        workers = await connection.fetch(queries["workers_seen"], DEAD_SECONDS)
        given_up = await connection.fetch(queries["rooms_given_up"], ATTEMPTS)
        at = await connection.fetchval("select now()")
    return Overview(
        [dict(row) for row in sessions[:MOST]],
        len(sessions) > MOST,
        [dict(row) for row in workers],
        [dict(row) for row in given_up],
        at,
    )
