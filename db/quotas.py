"""Quotas per user, counted in the database, so that they hold over any number of web processes."""

from math import ceil
from uuid import UUID

from agent.session.errors import RecorderError
from db.pool import Connection
from db.queries import queries
from db.viewer import Viewer

OPEN_AT_ONCE = 10  # sessions of one user that nobody has joined
OPENED_AN_HOUR = 60  # sessions of one user
SAVED_AN_HOUR = 500  # new sessions that one user's clients tell of
JOINS_AN_HOUR = 100  # participants that clients tell of in one session


class QuotaExceeded(RecorderError):
    """A user asked for more than one user may have. The text says what to do."""

    def __init__(self, detail: str, retry_after: int) -> None:
        super().__init__(detail)
        self.retry_after = retry_after  # seconds


async def check_opening(connection: Connection, viewer: Viewer) -> None:
    """Raise `QuotaExceeded` when the user may not open one more session. Staff always may.

    Within the transaction that opens it, and one at a time for each user.
    """
    if viewer.admin:
        return
    await connection.execute(queries["openings_one_at_a_time"], str(viewer.user_id))
    (row,) = await connection.fetch(queries["count_openings"], OPENED_AN_HOUR)
    if row["unjoined"] >= OPEN_AT_ONCE:
        raise QuotaExceeded(
            f"{OPEN_AT_ONCE} sessions of yours are open that nobody has joined: join one of them, or end it "
            "(PATCH status completed).",
            60,
        )
    if row["opened"] >= OPENED_AN_HOUR:
        raise QuotaExceeded(
            f"You have {OPENED_AN_HOUR} sessions of the last hour: open the next one later.",
            max(ceil(row["seconds_left"]), 1),
        )


async def check_saving(connection: Connection, viewer: Viewer) -> None:
    """Raise `QuotaExceeded` when a user's clients told of too many new sessions. Staff always may.

    Within the transaction that has just told of one, and one at a time for each user.
    """
    if viewer.admin:
        return
    await connection.execute(queries["openings_one_at_a_time"], str(viewer.user_id))
    saved = await connection.fetchval(queries["count_saved"], viewer.user_id, SAVED_AN_HOUR + 1)
    if saved > SAVED_AN_HOUR:
        raise QuotaExceeded(
            f"{SAVED_AN_HOUR} new sessions were saved within the hour: save the next later.", 600
        )


async def check_join(connection: Connection, session_id: UUID) -> None:
    """Raise `QuotaExceeded` when no more participants may be told of. The caller locks the session."""
    (row,) = await connection.fetch(queries["count_joins"], session_id, JOINS_AN_HOUR)
    if row["joins"] >= JOINS_AN_HOUR:
        raise QuotaExceeded(
            f"{JOINS_AN_HOUR} participants joined this session within the hour: tell of the next one later.",
            max(ceil(row["seconds_left"]), 1),
        )
