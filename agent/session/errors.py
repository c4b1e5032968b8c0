"""Everything that goes wrong here, as one tree.

RecorderError
├── SettingsIncomplete         production settings are missing; all are named
├── LeaseLost                  another recorder holds the session; our write was refused
├── BoundToAnother             the room belongs to another session; nothing was written
├── SessionNotSaved            the database did not take the session; it waits in the spool
├── TranscriptionUnavailable   the transcription service gave no answer for an utterance
├── MessageRefused             a data message is malformed, oversized or from the wrong role
├── SchemaNotApplied           tables of these names are there and are not ours; none was changed
└── ServiceNotStarted          a local service that `dev` needs did not come up
"""

from collections.abc import Sequence
from pathlib import Path
from traceback import extract_tb
from typing import Any
from uuid import UUID


class RecorderError(Exception):
    """The session recorder could not do what was asked."""


class SettingsIncomplete(RecorderError):
    """Settings that production needs are missing."""

    def __init__(self, missing: Sequence[str]) -> None:
        self.missing = tuple(missing)
        super().__init__("missing settings: " + ", ".join(self.missing))


class LeaseLost(RecorderError):
    """Another recorder holds this session."""


class BoundToAnother(RecorderError):
    """The room belongs to another session than its metadata say now."""

    def __init__(self, session_id: UUID) -> None:
        self.session_id = session_id
        super().__init__("the room belongs to another session")


class SessionNotSaved(RecorderError):
    """The session could not be written; it waits in the spool."""


class TranscriptionUnavailable(RecorderError):
    """The transcription service gave no answer for this utterance.

    `refused`: it did, and will not take it however often it is asked.
    """

    def __init__(self, reason: str, *, refused: bool = False) -> None:
        self.refused = refused
        super().__init__(reason)


class MessageRefused(RecorderError):
    """A data message was malformed, oversized or not its sender's to send.

    `words`: somebody's own words went with it. `once`: told once of a sender, however often it happens.
    """

    def __init__(self, reason: str, *, words: bool = False, once: bool = False) -> None:
        self.words, self.once = words, once
        super().__init__(reason)


class SchemaNotApplied(RecorderError):
    """The schema could not be applied; nothing was changed."""


class ServiceNotStarted(RecorderError):
    """A local service did not come up."""


def what_failed(error: BaseException) -> dict[str, Any]:
    """An error as log fields: its type and place, never its text, which may quote what people said.

    (PostgreSQL's messages quote the failing row, an HTTP client's the request.)
    """
    fields: dict[str, Any] = {"error": type(error).__name__}
    if frames := extract_tb(error.__traceback__):
        fields["where"] = f"{Path(frames[-1].filename).name}:{frames[-1].lineno}"
    for name in ("sqlstate", "table_name", "column_name", "constraint_name", "status_code"):
        if value := getattr(error, name, None):
            fields[name] = value
    return fields
