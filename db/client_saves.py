"""What clients tell of their sessions. A recorder that had one knows its times, words and end better."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from agent.session.ownership import Proof
from db.pool import Connection, Pool
from db.queries import queries
from db.quotas import check_opening, check_saving
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


@dataclass(frozen=True, slots=True)
class Saved:
    """The record after a save: whether it is new, and the mode that holds."""

    created: bool
    mode: str


@dataclass(frozen=True, slots=True)
class Times:
    """When a client says that a session began and ended; None where it does not say."""

    started_at: datetime | None = None
    ended_at: datetime | None = None
    duration_seconds: int | None = None


async def begin(
    pool: Pool, viewer: Viewer, user_id: UUID | None, told: Told, *, counselor_id: UUID | None = None
) -> bool:
    """A session in progress of this user; False when there is one of this id already.

    Without a user it is a counselor's who waits for a student.
    """
    async with seen_by(pool, viewer) as connection:
        await check_opening(connection, viewer)
        return await _open(connection, user_id, told, "opened", counselor_id)


async def save(pool: Pool, viewer: Viewer, user_id: UUID, told: Told) -> Saved | None:
    """Keep what a client tells of a session; however often and at once, it is one.

    None when it is somebody else's: neither the viewer's nor one that LiveKit saw them in. One without an
    owner becomes its teller's only if LiveKit saw them in it.
    """
    async with seen_by(pool, viewer) as connection:
        proof: Proof = "opened" if viewer.admin and user_id != viewer.user_id else "saved"  # staff's word
        created = await _open(connection, user_id, told, proof)
        if created:
            await check_saving(connection, viewer)
        if not created and not viewer.admin:
            await connection.execute(queries["adopt_session"], told.session_id)
        row = await connection.fetchrow(queries["lock_session"], viewer.only, told.session_id)
        if row is None:
            return None
        mode = await connection.fetchval(
            queries["save_client_record"],
            viewer.only,
            told.session_id,
            told.counselor_category,
            told.start_time,
            told.end_time,
            [entry | {"told_by": str(user_id)} for entry in told.transcript or []],
            told.quality_metrics,
            str(user_id),
            viewer.admin and row["user_id"] != user_id,
            viewer.admin or row["user_id"] == user_id,
            told.mode,
        )
        if mode is None:
            return None
        await connection.execute(queries["end_told_stays"], told.session_id)
        return Saved(created, mode)


async def tell_status(
    pool: Pool, viewer: Viewer, session_id: UUID, status: str, times: Times
) -> dict[str, Any] | None:
    """The session's row after a client told its status; None when it is not the viewer's."""
    async with seen_by(pool, viewer) as connection:
        told = (times.started_at, times.ended_at, times.duration_seconds)
        await connection.execute(queries["tell_status"], viewer.only, session_id, status, *told)
        await connection.execute(queries["note_client"], viewer.only, session_id)
        await connection.execute(queries["end_told_stays"], session_id)
        row = await connection.fetchrow(queries["one_session"], viewer.only, session_id)
    return dict(row) if row else None


async def _open(
    connection: Connection, user_id: UUID | None, told: Told, proof: Proof, counselor_id: UUID | None = None
) -> bool:
    opened = await connection.fetchval(
        queries["open_session"],
        told.session_id,
        told.room_name,
        user_id,
        proof if user_id else None,
        told.counselor_category,
        told.mode,
        proof == "opened",
        told.start_time,
        counselor_id,
    )
    return bool(opened)
