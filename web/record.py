"""A session as it stands: its row or, while it goes on, the fold of its journal."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from agent.session.conversation import measures
from agent.session.fold import fold
from agent.session.transcript import beside
from db import history
from db.pool import Pool
from db.sessions import info_of
from db.viewer import Viewer
from web.problems import not_found
from web.threads import in_thread

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Record:
    """A session with everything that is known of it; its readings only where they were asked for."""

    row: Row
    participants: list[Row]
    readings: list[Row]

    @property
    def start(self) -> datetime:
        start: datetime = self.row["start_time"]
        return start

    @property
    def in_progress(self) -> bool:
        return bool(self.row["status"] == "in_progress")

    @property
    def names(self) -> dict[str, str]:
        """What people call themselves, by identity."""
        return {p["identity"]: p["name"] for p in self.participants if p["identity"] and p["name"]}

    @property
    def tellers(self) -> dict[str, str]:
        """The same of those whose client may have told something, by user id."""
        return {str(p["user_id"]): p["name"] for p in self.participants if p["user_id"] and p["name"]}

    @property
    def recorded(self) -> bool:
        """A recorder has had the session; else all of it is as a client told it."""
        return bool(self.row["lease_epoch"] > 0)

    def conversation(self) -> dict[str, Any]:
        """What a client told of a session that was recorded is no measure of it."""
        heard = (entry for entry in self.row["transcript"] if not entry.get("told_by"))
        return measures(heard if self.recorded else self.row["transcript"])


async def load(pool: Pool, viewer: Viewer, session_id: UUID, *, readings: bool = False) -> Record:
    """Raises `Problem` 404 for what is not there or not the viewer's."""
    seen = await history.one(pool, viewer, session_id, readings=readings)
    if seen is None:
        raise not_found()
    return await in_thread(_record, seen)


def _record(seen: history.Seen) -> Record:
    row = seen.row | _so_far(seen)
    if row["lease_epoch"] > 0 and (told := list(_told(row))):
        row["transcript"] = beside(row["transcript"], told)
    return Record(row, seen.participants, seen.readings)


def _told(row: Row) -> Iterator[Row]:
    """What clients told: the owner's, those of whom LiveKit saw in the room, and staff's."""
    allowed = {str(user_id) for user_id in (row["user_id"], *row["viewers"])}
    for teller, told in (row["client_record"] or {}).items():
        if teller in allowed or told.get("staff"):
            yield from told.get("transcript", ())


def _so_far(seen: history.Seen) -> Row:
    if not seen.journal:
        return {}
    session = fold(info_of(seen.row), seen.events())
    return {
        "transcript": session.transcript(),
        "quality_metrics": session.quality_metrics(),
        "gaps": session.gaps(),
        "coverage": session.coverage(),
    }
