"""How PostgreSQL comes to its answers: the plans of the web part's own queries, as they ran."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, cast
from uuid import UUID

import asyncpg

from bench.histories.filling import COUNSELOR, RARE, READER, sql, vocabulary
from db import history
from db.pool import Connection, Pool, prepare
from db.queries import queries
from db.viewer import Viewer

# EXPLAIN does not show what runs inside of functions; this does.
_EXPLAIN = """
load 'auto_explain';
set auto_explain.log_min_duration = 0;
set auto_explain.log_nested_statements = on;
set auto_explain.log_analyze = on;
set auto_explain.log_buffers = on;
set auto_explain.log_timing = off;
set client_min_messages = log
"""
_SMALL = {queries["become_viewer"], queries["as_search"]}  # read nothing


async def plans(dsn: str) -> list[tuple[str, str]]:
    """What was asked, and how it was found: statement by statement, those within functions first."""
    viewer, counselor, page = Viewer(READER), Viewer(COUNSELOR, counselor=True), 20
    connection = await asyncpg.connect(dsn)
    try:
        await prepare(connection)
        sample: UUID = await connection.fetchval(sql["sample_sessions"], READER, 1)
        told: list[str] = []
        connection.add_log_listener(lambda _, message: told.append(str(message)))
        await connection.execute(_EXPLAIN)
        pool = cast("Pool", _Lent(connection))
        asked: dict[str, Any] = {
            "list": lambda: history.page(pool, viewer, history.Wanted(page)),
            "search, a rare word": lambda: history.page(pool, viewer, history.Wanted(page, words=RARE)),
            "search, said in all sessions": lambda: history.page(
                pool, viewer, history.Wanted(page, words=vocabulary()[0])
            ),
            "detail": lambda: history.one(pool, viewer, sample, readings=True),
            "counselor, list": lambda: history.page(pool, counselor, history.Wanted(page)),
            "counselor, search": lambda: history.page(pool, counselor, history.Wanted(page, words=RARE)),
            "counselor, detail": lambda: history.one(pool, counselor, sample, readings=True),
        }
        found = []
        for name, ask in asked.items():
            told.clear()
            await ask()
            found.append((name, "\n\n".join(filter(None, map(_plan, told)))))
        return found
    finally:
        await connection.close()


class _Lent:
    """A pool of this one connection, which others may hold but not close."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    @asynccontextmanager
    async def acquire(self) -> AsyncIterator[Connection]:
        yield self._connection


def _plan(message: str) -> str:
    """`duration: 1.2 ms  plan:`, `Query Text: ...` and the plan as the statement's name and the plan."""
    head, _, rest = message.partition("plan:\nQuery Text: ")
    known = {" ".join(text.split()): name for name, text in queries.items()}
    lines = rest.splitlines()
    first = next((n for n, line in enumerate(lines) if "(cost=" in line), len(lines))
    text = " ".join(" ".join(lines[:first]).partition("Query Parameters:")[0].split())
    if not rest or text in {" ".join(small.split()) for small in _SMALL}:
        return ""
    return f"{known.get(text, 'search_own_sessions')} ({head.strip()})\n" + "\n".join(lines[first:])
