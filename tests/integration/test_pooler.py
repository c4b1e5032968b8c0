"""Through a pooler like PgBouncer: it refuses what a session would set for itself, and passes the rest on."""

import asyncio
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from urllib.parse import parse_qs, urlsplit

from agent.local.postgres import EmbeddedPostgres
from db.pool import open_pool

# What PgBouncer takes unless `ignore_startup_parameters` names more (its documentation, "Generic settings").
TAKEN = {"user", "database", "application_name", "client_encoding", "datestyle", "timezone"}


async def test_what_a_pooler_refuses_is_not_asked_for_again(postgres: EmbeddedPostgres) -> None:
    refused: list[str] = []
    async with _pooler(postgres.dsn, refused) as dsn:
        pool = await open_pool(dsn)
        assert await pool.fetchval("select $1::jsonb ->> 'said'", {"said": "hello"}) == "hello"
        await pool.close()
    assert refused == ["statement_timeout"]


async def test_without_a_pooler_the_server_ends_statements_itself(postgres: EmbeddedPostgres) -> None:
    pool = await open_pool(postgres.dsn)
    assert await pool.fetchval("show statement_timeout") == "10s"
    await pool.close()


@asynccontextmanager
async def _pooler(dsn: str, refused: list[str]) -> AsyncIterator[str]:
    """Answers like one, in front of a real server."""
    (sockets,) = parse_qs(urlsplit(dsn).query)["host"]

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        startup = await _startup(reader)
        names = set(startup[8:].decode().split("\0")[::2]) - {""}
        if unknown := sorted(names - TAKEN):
            refused.extend(unknown)
            writer.write(_refusal(f"unsupported startup parameter: {unknown[0]}"))
        else:
            from_server, to_server = await asyncio.open_unix_connection(f"{sockets}/.s.PGSQL.5432")
            to_server.write(startup)
            await asyncio.gather(_pass_on(reader, to_server), _pass_on(from_server, writer))
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    try:
        yield f"postgresql://postgres@127.0.0.1:{port}/postgres?sslmode=disable"
    finally:
        server.close()


async def _startup(reader: asyncio.StreamReader) -> bytes:
    """The first message: its length, the protocol's version, names and values."""
    length = await reader.readexactly(4)
    return length + await reader.readexactly(struct.unpack("!I", length)[0] - 4)


def _refusal(text: str) -> bytes:
    fields = b"".join(
        f"{kind}{value}\0".encode() for kind, value in (("S", "FATAL"), ("C", "08P01"), ("M", text))
    )
    return b"E" + struct.pack("!I", len(fields) + 5) + fields + b"\0"


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(ConnectionError):
        while data := await reader.read(1 << 16):
            writer.write(data)
            await writer.drain()
    writer.close()
