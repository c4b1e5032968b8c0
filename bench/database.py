"""How many rooms' journals one PostgreSQL takes, and what they cost it.

Run it with `python -m bench.database`. A real PostgreSQL with its default settings (each write is on disk
before it is answered); recorders without rooms hold leases and flush what a room of two talkers makes them
flush, each at its own times, by the recorder's own code; an answer's time counts from when the flush was due.
More rooms at each step, until the answers come late. PostgreSQL's own work is told as well: here it shares
the cores with the load, which is on other machines where recorders are.
"""

import asyncio
import json
import multiprocessing
import os
import random
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from statistics import mean
from typing import Annotated
from uuid import uuid4

import asyncpg
import typer

from agent.local.postgres import EmbeddedPostgres, running_postgres
from agent.session.errors import RecorderError
from agent.session.events import Event, QualityRead, UtteranceHeard
from agent.session.rooms import SessionInfo
from bench.command import JsonFile, Markdown, ascending, help_of, new_app, print_table, run, say
from bench.procfs import read_cpu
from bench.quantiles import share_of
from db.lease import Lease, claim
from db.pool import Pool, migrate, open_pool
from db.sessions import Changes, write

# Of a room of two talkers who never pause, measured with `bench.rooms` (README, "How many machines"): so
# many flushes a second, with an utterance in every other one and two readings in the rest.
FLUSHES = 0.62
WORDS = "These are the words that somebody says, a sentence of the usual length of ten to twenty of them."
LATE = 1.0  # s: beyond it a kill loses words that it must not lose
CONNECTIONS = 12  # of each process of the load
app = new_app()


@dataclass(frozen=True)
class Step:
    """Seconds from when a flush was due to its answer; cores of PostgreSQL's; bytes of a room's hour."""

    rooms: int
    flushes_due: float  # a second
    flushes: float
    median: float
    p95: float
    slowest: float
    cores: float
    wal_bytes: float
    table_bytes: float

    @property
    def holds(self) -> bool:
        return self.p95 <= LATE and self.flushes >= 0.98 * self.flushes_due


@app.command(help=help_of(__doc__))
def database(
    rooms: Annotated[str, typer.Option(help="Numbers of rooms, ascending")] = "250,500,1000,2000,4000,10000",
    seconds: Annotated[float, typer.Option(min=10, help="Length of each step")] = 30.0,
    processes: Annotated[int, typer.Option(min=1, help="That make the load")] = os.cpu_count() or 1,
    markdown: Markdown = False,
    json_file: JsonFile = None,
) -> None:
    counts = ascending(rooms, "--rooms", least=1)
    steps: list[Step] = []
    with (
        tempfile.TemporaryDirectory(prefix="bench-database-") as folder,
        running_postgres(Path(folder)) as server,
    ):
        asyncio.run(migrate(server.dsn))
        context = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(processes, mp_context=context) as pool:
            for count in counts:
                say(f"{count} rooms: {count * FLUSHES:.0f} flushes a second for {seconds:g} s")
                steps.append(step := _step(pool, server, count, seconds, processes))
                times = f"p50 {1000 * step.median:.0f} ms, p95 {1000 * step.p95:.0f} ms"
                say(f"  {step.flushes:.0f} a second, {times}, PostgreSQL {step.cores:.2f} cores")
                if not step.holds:
                    break
    if json_file:
        json_file.write_text(json.dumps([asdict(step) for step in steps], indent=2) + "\n")
    _tell(steps, markdown=markdown)


def _step(
    pool: ProcessPoolExecutor, server: EmbeddedPostgres, rooms: int, seconds: float, processes: int
) -> Step:
    assert server.pid is not None
    before = asyncio.run(_sizes(server.dsn))
    shares = [rooms // processes + (n < rooms % processes) for n in range(processes)]
    loads = list(pool.map(partial(_load, server.dsn, server.pid, seconds), shares))
    took = [t for load in loads for t in load.took]
    wal, tables = (b - a for a, b in zip(before, asyncio.run(_sizes(server.dsn)), strict=True))
    if not took:
        raise RecorderError("nothing was flushed: --seconds is too short for so few rooms")
    hours = len(took) / FLUSHES / 3600  # of a room
    return Step(
        rooms,
        rooms * FLUSHES,
        len(took) / seconds,
        share_of(took, 0.5),
        share_of(took, 0.95),
        max(took),
        mean(load.cores for load in loads),
        wal / hours,
        tables / hours,
    )


async def _sizes(dsn: str) -> tuple[int, int]:
    """Bytes of the log ever written, and of tables and indexes now."""
    connection = await asyncpg.connect(dsn)
    try:
        row = await connection.fetchrow(
            "select pg_current_wal_insert_lsn() - '0/0' as wal,"
            " pg_database_size(current_database()) as tables"
        )
    finally:
        await connection.close()
    assert row is not None
    return int(row["wal"]), int(row["tables"])


@dataclass(frozen=True)
class Load:
    """How long each flush that was due took one process; cores PostgreSQL was busy with meanwhile."""

    took: list[float]
    cores: float


def _load(dsn: str, postgres: int, seconds: float, rooms: int) -> Load:
    """One process's share of the rooms."""
    return asyncio.run(_record(dsn, postgres, seconds, rooms))


async def _record(dsn: str, postgres: int, seconds: float, rooms: int) -> Load:
    pool = await open_pool(dsn, max_size=CONNECTIONS)
    try:
        leases = [await _lease(pool) for _ in range(rooms)]
        took: list[float] = []
        before = read_cpu(postgres)
        end = time.monotonic() + seconds
        await asyncio.gather(*(_flush_until(pool, lease, end, took) for lease in leases))
        return Load(took, read_cpu(postgres).percent_since(before) / 100)
    finally:
        pool.terminate()


async def _lease(pool: Pool) -> Lease:
    session_id = uuid4()
    info = SessionInfo(session_id, f"coaching-{session_id}", f"RM_{session_id}", None, None, "video")
    lease = await claim(pool, info, datetime.now(UTC), f"bench+{session_id}")
    assert isinstance(lease, Lease)
    return lease


async def _flush_until(pool: Pool, lease: Lease, end: float, took: list[float]) -> None:
    """At its own times, and the next one late where the one before was answered late."""
    due = time.monotonic() + random.random() / FLUSHES
    batches = _batches()
    seq = 0
    while due < end:
        await asyncio.sleep(due - time.monotonic())
        events = next(batches)
        async with pool.acquire() as connection:
            await write(connection, Changes(lease.session_id, events, [], None), seq, lease=lease)
        seq += len(events)
        if (now := time.monotonic()) < end:
            took.append(now - due)
        due += 1 / FLUSHES


def _batches() -> Iterator[list[Event]]:
    while True:
        now = datetime.now(UTC)
        yield [
            UtteranceHeard(
                at=now - timedelta(seconds=4), end=now, identity="student-1", text=WORDS, source="whisper"
            )
        ]
        now = datetime.now(UTC)
        yield [_reading(now, identity) for identity in ("student-1", "counselor-1")]


def _reading(at: datetime, identity: str) -> QualityRead:
    return QualityRead(
        at=at,
        seconds=10.0,
        identity=identity,
        track_sid=f"TR_{identity}",
        source="microphone",
        leg="sfu_to_recorder",
        bitrate_kbps=32.1,
        fps=None,
        packets_lost=0,
        packets_received=500,
        jitter_ms=2.0,
        round_trip_ms=20.0,
        width=None,
        height=None,
        mos=4.3,
    )


def _tell(steps: Sequence[Step], *, markdown: bool) -> None:
    headings = (
        "rooms",
        "flushes/s",
        "p50",
        "p95",
        "slowest",
        "PostgreSQL",
        "log per room-hour",
        "tables per room-hour",
        "",
    )
    lines = [
        (
            f"{step.rooms:,}",
            f"{step.flushes:.0f} of {step.flushes_due:.0f}",
            f"{1000 * step.median:.0f} ms",
            f"{1000 * step.p95:.0f} ms",
            f"{step.slowest:.2f} s",
            f"{step.cores:.2f} cores",
            f"{step.wal_bytes / 1e6:.1f} MB",
            f"{step.table_bytes / 1e6:.1f} MB",
            "in time" if step.holds else "too late",
        )
        for step in steps
    ]
    print_table(headings, lines, markdown=markdown)


if __name__ == "__main__":
    run(app)
