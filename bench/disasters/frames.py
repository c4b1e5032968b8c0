"""Which statement a PostgreSQL client is about to execute, from the bytes that it sends."""

import struct
from collections.abc import Iterator

from db.queries import queries

COMMIT_AFTER = "commit after "
_NAMES = {text.strip(): name for name, text in queries.items()}


class Frames:
    """One connection's messages, in order.

    Names are those of `queries.sql`. A COMMIT is named after each statement of its transaction: `commit after
    write_session`.
    """

    def __init__(self) -> None:
        self._rest = b""
        self._started = False
        self._prepared: dict[bytes, str] = {}
        self._in_transaction: set[str] = set()

    def taken_from(self, data: bytes) -> Iterator[tuple[bytes, set[str]]]:
        """Every whole message, and the names of what it executes."""
        self._rest += data
        while (size := self._size()) and len(self._rest) >= size:
            frame, self._rest = self._rest[:size], self._rest[size:]
            yield frame, self._executed(frame) if self._started else set()
            self._started = True

    def _size(self) -> int:
        """Of the next message; 0 while that cannot be told. Only the first has no byte for its kind."""
        kind = int(self._started)
        if len(self._rest) < kind + 4:
            return 0
        length: int = struct.unpack_from("!I", self._rest, kind)[0]
        return kind + length

    def _executed(self, frame: bytes) -> set[str]:
        kind, body = frame[:1], frame[5:]
        if kind == b"P":  # Parse: a name, the statement
            name, text, _ = body.split(b"\0", 2)
            self._prepared[name] = _NAMES.get(text.decode().strip(), "")
        elif kind == b"B":  # Bind: a portal, the statement's name, arguments
            _, name, _ = body.split(b"\0", 2)
            statement = self._prepared.get(name, "")
            self._in_transaction.add(statement)
            return {statement}
        elif kind == b"Q":  # a simple query, as asyncpg sends for transactions
            command = body.rstrip(b"\0; ").upper()
            told = self._in_transaction if command == b"COMMIT" else set[str]()
            self._in_transaction = set()
            return {COMMIT_AFTER + name for name in told}
        return set()
