"""Where a page of the history ended, as opaque text."""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from datetime import datetime
from typing import Any
from uuid import UUID

from web.problems import Problem


def cursor_after(row: dict[str, Any]) -> str:
    """The place behind this session."""
    return urlsafe_b64encode(f"{row['start_time'].isoformat()}/{row['session_id']}".encode()).decode()


def place(cursor: str | None) -> tuple[datetime, UUID] | None:
    """The place that a cursor names. Raises `Problem` 422."""
    if not cursor:
        return None
    try:
        moment, session_id = urlsafe_b64decode(cursor.encode("ascii")).decode("ascii").split("/")
        at = datetime.fromisoformat(moment)
        if at.tzinfo is None or not 1 < at.year < 9999:
            raise ValueError
        return at, UUID(session_id)
    except ValueError:
        raise Problem(422, "is not one that this API gave", field="cursor") from None
