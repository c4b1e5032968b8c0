"""A worker's log, read as it grows."""

import json
from collections import defaultdict
from datetime import datetime
from pathlib import Path
from typing import Any

Line = dict[str, Any]


class FollowedLog:
    """Lines by event. Each is parsed once, however often one looks."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._read = 0
        self._lines: dict[str, list[Line]] = defaultdict(list)

    def __call__(self, event: str, **fields: Any) -> list[Line]:
        """The lines of one event with these fields."""
        self._read_on()
        return [
            line
            for line in self._lines[event]
            if all(line.get(name) == value for name, value in fields.items())
        ]

    def errors(self) -> list[Line]:
        """What was logged as an error."""
        self._read_on()
        return [line for lines in self._lines.values() for line in lines if line.get("level") == "error"]

    def _read_on(self) -> None:
        with self._path.open("rb") as file:
            file.seek(self._read)
            data = file.read()
        whole = data.rfind(b"\n") + 1  # the last line may be half written
        self._read += whole
        for raw in data[:whole].splitlines():
            if raw.startswith(b"{") and raw.endswith(b"}"):
                line: Line = json.loads(raw)
                line["at"] = datetime.fromisoformat(line["timestamp"])
                self._lines[line["event"]].append(line)
