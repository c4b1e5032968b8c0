"""A session as it stands: its row or, while it goes on, the fold of its journal."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from agent.session.conversation import measures
from agent.session.fold import fold
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
    def stays(self) -> list[Row]:
        """Those the recorder saw; those clients told of, where it saw nobody."""
        seen = [p for p in self.participants if p["participant_sid"] is not None]
        return seen or self.participants

    def conversation(self) -> dict[str, Any]:
        return measures(self.row["transcript"])


async def load(pool: Pool, viewer: Viewer, session_id: UUID, *, readings: bool = False) -> Record:
    """Raises `Problem` 404 for what is not there or not the viewer's."""
    seen = await history.one(pool, viewer, session_id, readings=readings)
    if seen is None:
        raise not_found()
    return await in_thread(_record, seen)


def _record(seen: history.Seen) -> Record:
    return Record(seen.row | _so_far(seen), seen.participants, seen.readings)


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
