"""Reading and writing sessions. Who may write one: see `db.lease`."""

import asyncio
import gc
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid5

from agent.session.errors import LeaseLost
from agent.session.events import Event, ParticipantJoined, ParticipantLeft, from_row, to_row
from agent.session.fold import TOLD_BY_CLIENT, Session, Stay
from agent.session.restore import events_of
from agent.session.rooms import Mode, SessionInfo
from db.lease import LEASE_SECONDS, Lease
from db.ownership import Whose, settle
from db.pool import Connection, Encoded, Pool, encoded_list
from db.queries import queries


async def load_events(pool: Pool, session_id: UUID) -> tuple[list[Event], int]:
    """The journal of a session, and the number that its next event gets."""
    async with pool.acquire() as connection:
        rows = await connection.fetch(queries["load_events"], session_id)
    return [from_row(r["kind"], r["at"], r["data"]) for r in rows], (rows[-1]["seq"] + 1 if rows else 0)


@dataclass(frozen=True, slots=True)
class History:
    """What is known of a session from before: its journal or, where that was purged, its record."""

    journaled: list[Event]
    restored: list[Event]  # not in the journal any more: whoever goes on with the session journals them anew
    next_seq: int


async def load_history(pool: Pool, session_id: UUID) -> History:
    """Everything that a session goes on from."""
    journaled, next_seq = await load_events(pool, session_id)
    record = None if journaled else await load_record(pool, session_id)
    seen = record is not None and record["end_time"] and record["end_reason"] != TOLD_BY_CLIENT
    return History(journaled, events_of(record) if record and seen else [], next_seq)


@dataclass(frozen=True, slots=True)
class Changes:
    """What to write, as it stood at one moment: the session itself may grow while it is being written."""

    session_id: UUID
    events: list[Event]
    stays: Encoded
    finished: tuple[Any, ...] | None  # the session's own row; None while it need not be written
    whose: Whose | None = None  # None while that is written already


def changes(session: Session, events: Sequence[Event], *, finished: bool, whose: bool = False) -> Changes:
    """These new events with the stays that they speak of; with the whole session when it is `finished`."""
    touched = {e.participant_sid for e in events if isinstance(e, ParticipantJoined | ParticipantLeft)}
    session_id = session.info.session_id
    stays = encoded_list(
        _stay(session_id, stay)
        for stay in (session.stays if finished or touched else ())
        if finished or stay.joined.participant_sid in touched
    )
    told_whose = Whose(session.info, session.owner, session.viewers) if finished or whose else None
    row = _row(session) if finished else None
    return Changes(session_id, list(events), stays, row, told_whose)


async def gathered(
    session: Session, events: Sequence[Event], *, finished: bool, whose: bool = False
) -> Changes:
    """The same of a session as it stands now, while others have their turn: it may take seconds."""
    kept = session.copy()

    def put_together() -> Changes:
        # Collecting garbage among so many events would stop all threads for 0.2 s; no cycles are made.
        gc.disable()
        try:
            return changes(kept, events, finished=finished, whose=whose)
        finally:
            gc.enable()

    return await asyncio.to_thread(put_together)


async def write(
    connection: Connection,
    what: Changes,
    first_seq: int,
    *,
    lease: Lease | None = None,
    room_sid: str | None = None,
) -> Mode | None:
    """Journal the events from this number on, and bring stays, readings and session up to date.

    All of it or nothing; with a `lease`, which is renewed in this room, else in the caller's turn. Writing
    the same changes with the same numbers again changes nothing. Raises `LeaseLost` when it is not ours.
    The session's mode as it holds, where the changes tell whose it is.
    """
    single = what.finished is None and what.whose is None
    async with nullcontext() if single or connection.is_in_transaction() else connection.transaction():
        await _write_changes(connection, what, first_seq, lease, room_sid)
        mode = await settle(connection, what.whose) if what.whose is not None else None
        if what.finished is not None:
            await connection.execute(queries["write_session"], *what.finished)
            await connection.execute(queries["end_told_stays"], what.session_id)
    return mode


async def _write_changes(
    connection: Connection, what: Changes, first_seq: int, lease: Lease | None, room_sid: str | None
) -> None:
    rows = [to_row(event) for event in what.events]
    ours = await connection.fetchval(
        queries["write_changes"],
        what.session_id,
        lease and lease.owner,
        lease and lease.epoch,
        LEASE_SECONDS,
        room_sid,
        list(range(first_seq, first_seq + len(rows))),
        [at for _, at, _ in rows],
        [kind for kind, _, _ in rows],
        [data for _, _, data in rows],
        what.stays,
    )
    if not ours:
        raise LeaseLost


def _stay(session_id: UUID, stay: Stay) -> dict[str, str | None]:
    joined = stay.joined
    return {
        "participant_id": str(uuid5(session_id, joined.participant_sid)),
        "user_id": joined.user_id,
        "identity": joined.identity,
        "participant_sid": joined.participant_sid,
        "name": joined.name,
        "role": joined.role,
        "kind": joined.kind,
        "joined_at": joined.at.isoformat(),
        "left_at": stay.left_at.isoformat() if stay.left_at else None,
    }


def _row(session: Session) -> tuple[Any, ...]:
    """The session as it stands: completed when it has ended, else in progress."""
    ending = session.ending
    return (
        session.info.session_id,
        "completed" if ending else "in_progress",
        session.start_time,
        ending.at if ending else None,
        encoded_list(session.transcript()),
        session.quality_metrics(),
        encoded_list(session.gaps()),
        ending.reason if ending else None,
        session.coverage(),
    )


async def load_record(pool: Pool, session_id: UUID) -> dict[str, Any] | None:
    """A session as it is stored: its row, and its `participants` and `readings`; None when there is none.

    All three as of one moment, also while a recorder writes them.
    """
    async with (
        pool.acquire() as connection,
        connection.transaction(isolation="repeatable_read", readonly=True),
    ):
        row = await connection.fetchrow(queries["one_session"], None, session_id)
        if row is None:
            return None
        stays = await connection.fetch(queries["load_stays"], session_id)
        readings = await connection.fetch(queries["load_readings"], session_id)
    return {**row, "participants": [dict(r) for r in stays], "readings": [dict(r) for r in readings]}


def info_of(row: Mapping[str, Any]) -> SessionInfo:
    """The session that a row is of."""
    return SessionInfo(
        row["session_id"],
        row["room_name"],
        row["room_sid"] or "",
        row["user_id"],
        row["counselor_category"],
        row["mode"],
        row["owner_proof"] or "saved",
    )


async def complete_untold(pool: Pool, session_id: UUID) -> bool:
    """Complete a session of which no recorder told anything, with the last that clients told.

    False when it is completed already, or a recorder holds it.
    """
    async with pool.acquire() as connection, connection.transaction():
        completed = await connection.fetchval(queries["complete_untold"], session_id)
        await connection.execute(queries["end_told_stays"], session_id)
    return bool(completed)


async def purge_journal(pool: Pool) -> None:
    """Forget the events of sessions that have been complete for a day, and what was known of their rooms."""
    async with pool.acquire() as connection:
        await connection.execute(queries["purge_journal"])
        await connection.execute(queries["purge_visits"])
        await connection.execute(queries["purge_bindings"])
        await connection.execute(queries["purge_starts"])
