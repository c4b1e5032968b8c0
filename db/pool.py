"""Connections to PostgreSQL: one small pool per process, JSON as Python values, nothing waits for ever."""

import asyncio
import json
from collections.abc import Iterable
from contextlib import suppress
from typing import Any, TypeAlias

import asyncpg
from asyncpg.pool import PoolConnectionProxy

from db.adoption import adopt_existing
from db.queries import SCHEMA, queries

Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record] | PoolConnectionProxy[asyncpg.Record]"
Pool: TypeAlias = "asyncpg.Pool[asyncpg.Record]"

CONNECT_TIMEOUT = 5.0  # s; a database that does not answer sooner counts as away
STATEMENT_TIMEOUT = 10.0  # s
_MIGRATION_LOCK = 0x5E55_1035  # any constant that nobody else on this database uses

# Errors that pass by themselves; anything else is a bug and a retry would only repeat it.
_TRANSIENT = (
    OSError,
    TimeoutError,
    asyncpg.PostgresConnectionError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,  # of a connection that broke in the middle of an answer
    asyncpg.TooManyConnectionsError,
    asyncpg.OperatorInterventionError,
    asyncpg.TransactionRollbackError,
    asyncpg.InsufficientResourcesError,
)


def is_transient(error: Exception) -> bool:
    """Whether trying again can help: connection lost, too many of them, shutdown, serialization failure."""
    return isinstance(error, _TRANSIENT) and not isinstance(error, ValueError)  # asyncpg.DataError is both


async def open_pool(dsn: str, *, max_size: int = 2, name: str = "coaching-session-recorder") -> Pool:
    """A pool that connects when it is first used, so that a recorder can begin while the database is away.

    `name`: by which PostgreSQL knows its connections.
    """
    return await asyncpg.create_pool(
        dsn,
        min_size=0,
        max_size=max_size,
        timeout=CONNECT_TIMEOUT,
        command_timeout=STATEMENT_TIMEOUT,
        server_settings={"application_name": name},
        connect=_connect,
        init=prepare,
        reset=_nothing_to_reset,
    )


async def answers(pool: Pool, *, within: float) -> bool:
    """Whether the database answers in so many seconds."""
    try:
        async with asyncio.timeout(within):
            await pool.fetchval("select 1")
    except Exception:  # however it fails
        return False
    return True


async def prepare(connection: Connection) -> None:
    """Teach a connection to speak JSON."""
    for kind in ("json", "jsonb"):
        await connection.set_type_codec(kind, encoder=_encode, decoder=json.loads, schema="pg_catalog")


async def migrate(dsn: str, room_prefix: str = "coaching-") -> list[str]:
    """Apply `schema.sql`, all or nothing; safe to repeat, also two at once.

    Returns what was done with a platform's own tables, a line each. Raises `SchemaNotApplied` where these
    stand in the way.
    """
    connection = await asyncpg.connect(dsn, timeout=CONNECT_TIMEOUT)
    try:
        async with connection.transaction():
            await connection.execute("select pg_advisory_xact_lock($1)", _MIGRATION_LOCK)
            await connection.execute("set local timezone = 'UTC'")
            adopted = await adopt_existing(connection, room_prefix)
            await connection.execute(SCHEMA.read_text("utf-8"))
            if adopted:
                await connection.execute(queries["note_adopted"])
            return adopted
    finally:
        await connection.close()


async def _connect(
    dsn: str | None = None, *, server_settings: dict[str, str] | None = None, **how: Any
) -> "asyncpg.Connection[asyncpg.Record]":
    """The server, too, ends statements in time; a pooler in between refuses to ask it for that."""
    limited = {**(server_settings or {}), "statement_timeout": f"{STATEMENT_TIMEOUT:.0f}s"}
    with suppress(asyncpg.ProtocolViolationError):
        return await asyncpg.connect(dsn, server_settings=limited, **how)
    return await asyncpg.connect(dsn, server_settings=server_settings, **how)


async def _nothing_to_reset(_connection: Connection) -> None:
    """What is set here ends with its transaction: no need to ask PostgreSQL after each use."""


class Encoded(str):
    """JSON as it is stored: what takes long to encode is encoded where nobody waits for it."""

    __slots__ = ()


def encoded_list(values: Iterable[Any]) -> Encoded:
    """A list, encoded entry by entry: in a thread, others have their turn in between."""
    return Encoded("[" + ",".join(map(_encode, values)) + "]")


def _encode(value: Any) -> str:
    if isinstance(value, Encoded):
        return value
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
