"""Events that wait on local disk while the database is away: one file a recorder, appended and fsynced.

The first line says whose events these are, each further line is one event. A line torn by a crash is the
last one and was never promised to anybody. Whoever writes or replays a file holds its lock (flock), which
the kernel frees when the process dies: a file that can be locked has no living recorder.
"""

import fcntl
import json
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from io import FileIO
from math import inf
from pathlib import Path
from typing import IO, Any
from uuid import UUID

from agent.allowance import Allowance
from agent.private import private_folder
from agent.session.events import Event, from_row, iso, to_row
from agent.session.rooms import SessionInfo


class Spool:
    """One recorder's file. It exists only while events wait in it."""

    def __init__(
        self, folder: Path, info: SessionInfo, owner: str, *, allowance: Allowance | None = None
    ) -> None:
        self._folder = folder
        self._allowance = allowance
        self._path = folder / f"{info.session_id}.{owner}.jsonl"
        self._header = header_of(info, owner)
        self._file: FileIO | None = None
        self._size = 0  # of what is whole in the file

    def append(self, events: Sequence[Event]) -> None:
        """Write events through to the disk. Raises OSError when it cannot take them; then none is there."""
        if self._allowance:
            self._allowance.require()
        file = self._file or self._created()
        header = [] if self._size else [self._header]
        data = "".join(map(_line, [*header, *map(_as_json, events)])).encode()
        file.truncate(self._size)  # what a full disk took of the last attempt
        file.seek(self._size)
        rest = memoryview(data)
        while rest:
            rest = rest[file.write(rest) :]
        os.fsync(file.fileno())
        self._size += len(data)

    def clear(self) -> None:
        """Forget the events: they are in the database now."""
        if self._file is not None:
            self._path.unlink(missing_ok=True)
            self.close()

    def _created(self) -> FileIO:
        """A new file, locked before anyone can find it."""
        private_folder(self._folder)
        unfound = self._path.with_suffix(".new")
        descriptor = os.open(unfound, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        self._file, self._size = FileIO(descriptor, "w"), 0
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        unfound.rename(self._path)
        return self._file

    def close(self) -> None:
        """Leave the file, if there is one, to whoever replays it."""
        if self._file is not None:
            self._file.close()
            self._file = None


@dataclass(frozen=True, slots=True)
class Spooled:
    """What a spool file holds."""

    info: SessionInfo
    owner: str
    events: list[Event]


@contextmanager
def abandoned(folder: Path) -> Iterator[list[Path]]:
    """The files that no living recorder holds, locked while the context lasts."""
    files: list[tuple[Path, IO[bytes]]] = []
    try:
        for path in sorted(folder.glob("*.jsonl")):
            try:
                file: IO[bytes] = path.open("rb")
            except OSError:
                continue  # its recorder has cleared it, or it is nothing that can be read
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                file.close()
            else:
                files.append((path, file))
        yield [path for path, _ in files if path.exists()]
    finally:
        for _, file in files:
            file.close()


def written_at(path: Path) -> float:
    """When a file was last written to, in seconds as of `time.time`; of one that is gone, never."""
    try:
        return path.stat().st_mtime
    except FileNotFoundError:
        return inf


def read(path: Path) -> Spooled:
    """A spool file's content. Raises ValueError when not even its first line can be read."""
    lines = list(_lines(path))
    if not lines:
        raise ValueError("empty spool file")
    header, *rows = lines
    return Spooled(info_of(header), header["owner"], [_event(row) for row in rows if "kind" in row])


def header_of(info: SessionInfo, owner: str) -> dict[str, Any]:
    """Whose file it is, as JSON."""
    return {
        "session_id": str(info.session_id),
        "room_name": info.room_name,
        "room_sid": info.room_sid,
        "user_id": str(info.user_id) if info.user_id else None,
        "counselor_category": info.counselor_category,
        "mode": info.mode,
        "mode_known": info.mode_known,
        "proof": info.proof,
        "owner": owner,
    }


def info_of(header: dict[str, Any]) -> SessionInfo:
    """The session that a header names."""
    return SessionInfo(
        session_id=UUID(header["session_id"]),
        room_name=header["room_name"],
        room_sid=header["room_sid"],
        user_id=UUID(header["user_id"]) if header["user_id"] else None,
        counselor_category=header["counselor_category"],
        mode=header["mode"],
        mode_known=header.get("mode_known", False),
        proof=header.get("proof", "metadata"),
    )


def _event(row: dict[str, Any]) -> Event:
    return from_row(row["kind"], datetime.fromisoformat(row["at"]), row["data"])


def _as_json(event: Event) -> dict[str, Any]:
    kind, at, data = to_row(event)
    return {"kind": kind, "at": iso(at), "data": data}


def _lines(path: Path) -> Iterable[dict[str, Any]]:
    for line in path.read_bytes().splitlines():
        try:
            yield json.loads(line)
        except ValueError:
            return


def _line(value: dict[str, Any]) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")) + "\n"
