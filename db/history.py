"""What a viewer sees of the sessions: the list, one session, its words so far."""

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import asyncpg

from agent.session.events import Event, from_row
from db.pool import Connection, Pool
from db.queries import queries
from db.viewer import Viewer, seen_by

Row = dict[str, Any]
_WORD = re.compile(r"'((?:[^']|'')+)'")
_SPECIAL, _ESCAPED = re.compile(r"[\\%_]"), r"\\\g<0>"


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which sessions, newest first: after the last (`start_time`, `session_id`) of the page before."""

    limit: int
    mode: str | None = None
    status: str | None = None
    words: str | None = None
    after: tuple[datetime, UUID] | None = None


@dataclass(frozen=True, slots=True)
class Page:
    """Some sessions, and whether older ones follow. A searched one has the `line` that was found."""

    sessions: list[Row]
    more: bool


async def page(pool: Pool, viewer: Viewer, wanted: Wanted) -> Page:
    """A page of the history. Words without a letter or digit find nothing."""
    async with seen_by(pool, viewer) as connection:
        search = await connection.fetchval(queries["as_search"], wanted.words) if wanted.words else None
        if wanted.words and search is None:
            return Page([], more=False)
        if viewer.admin and search is not None:
            await connection.execute(queries["note_access"], viewer.user_id, None, "searched")
        before_time, before_id = wanted.after or (None, None)
        rows = await connection.fetch(
            queries["history_page"],
            viewer.only,
            wanted.mode,
            wanted.status,
            before_time,
            before_id,
            wanted.limit + 1,
            search,
        )
        shown = [dict(row) for row in rows[: wanted.limit]]
        if search is not None:
            ids = [row["session_id"] for row in shown]
            lines = await connection.fetch(
                queries["matching_lines"], viewer.only, ids, search, _letters(search)
            )
            found = {line["session_id"]: dict(line) for line in lines}
            shown = [{**row, "line": found.get(row["session_id"])} for row in shown]
    return Page(shown, more=len(rows) > wanted.limit)


def _letters(search: str) -> list[str]:
    """The words of a `tsquery`, as patterns that the text of each match has at least one of."""
    words = [word.replace("''", "'").replace("\\\\", "\\") for word in _WORD.findall(search)]
    return [f"%{_SPECIAL.sub(_ESCAPED, word)}%" for word in words]


@dataclass(frozen=True, slots=True)
class Seen:
    """One session with its stays; the recorder's readings, where asked for; while it goes on, its journal."""

    row: Row
    participants: list[Row]
    readings: list[Row]
    journal: list[Row]

    def events(self) -> list[Event]:
        """What the journal tells; of a long session that takes a while."""
        return [from_row(e["kind"], e["at"], e["data"]) for e in self.journal]


async def one(pool: Pool, viewer: Viewer, session_id: UUID, *, readings: bool = False) -> Seen | None:
    """A session as it is known now; None when there is none, or it is somebody else's."""
    async with seen_by(pool, viewer) as connection:
        row = await connection.fetchrow(queries["one_session"], viewer.only, session_id)
        if row is None:
            return None
        await note_reading(connection, viewer, row)
        stays = await connection.fetch(queries["load_stays"], session_id)
        measured = await connection.fetch(queries["measured"], session_id) if readings else []
        goes_on = row["status"] == "in_progress"
        events = await connection.fetch(queries["load_events"], session_id) if goes_on else []
    return Seen(
        dict(row),
        [dict(stay) for stay in stays],
        [dict(reading) for reading in measured],
        [dict(event) for event in events],
    )


async def note_reading(connection: Connection, viewer: Viewer, row: asyncpg.Record) -> None:
    """Write down that staff read what is another's."""
    if viewer.admin and row["user_id"] != viewer.user_id:
        await connection.execute(queries["note_access"], viewer.user_id, row["session_id"], "read")


async def for_counselor(pool: Pool, viewer: Viewer, session_id: UUID, *, enters: bool = False) -> Row | None:
    """The session that a counselor may enter: one that names them, or nobody yet; None for any other.

    Once they have entered (`enters`) it names them.
    """
    async with seen_by(pool, viewer) as connection:
        row = await connection.fetchrow(queries["session_for_counselor"], session_id, enters)
    return dict(row) if row else None


async def freshness(pool: Pool, viewer: Viewer, session_id: UUID | None = None) -> str:
    """A text that changes when what the viewer sees of the list, or of one session, has changed."""
    async with seen_by(pool, viewer) as connection:
        found: str = await connection.fetchval(queries["freshness"], viewer.only, session_id)
    return found
