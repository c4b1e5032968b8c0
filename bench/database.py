"""How many rooms' journals one PostgreSQL takes, and what they cost it.

Run it with `python -m bench.database`. A real PostgreSQL with its default settings (each write is on disk
before it is answered) is sent what recorders send it for rooms of two talkers: their leases, and each room's
flushes, at random times; an answer's time counts from when the flush was due. More rooms at each step, until
the answers come late. The load shares the cores here; in earnest it is on other machines, and so many
connections come through a pooler.
"""

import asyncio
import json
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

import asyncpg
import typer

from agent.local.postgres import EmbeddedPostgres, running_postgres
from agent.session.errors import RecorderError
from bench.command import JsonFile, Markdown, ascending, help_of, new_app, print_table, run, say
from bench.journal_load import claim_rooms, flush
from bench.quantiles import share_of
from db.pool import migrate

# Of a room of two talkers who never pause, measured with `bench.rooms` (README, "How many machines"): so
# many flushes a second, with an utterance in every other one and two readings in the rest.
FLUSHES = 0.62
LATE = 1.0  # s: beyond it a kill loses words that it must not lose
app = new_app()


@dataclass(frozen=True)
class Step:
    """Seconds from when a flush was due to its answer; cores that were busy; bytes of a room's hour."""

    rooms: int
    flushes_due: float  # a second
    flushes: float
    median: float
    p95: float
    slowest: float
    cores: float  # of PostgreSQL's
    machine: float
    wal_bytes: float
    table_bytes: float

    @property
    def holds(self) -> bool:
        return self.p95 <= LATE and self.flushes >= 0.98 * self.flushes_due


@app.command(help=help_of(__doc__))
def database(
    rooms: Annotated[str, typer.Option(help="Numbers of rooms, ascending")] = "1000,3000,6000,10000,15000",
    seconds: Annotated[float, typer.Option(min=10, help="Length of each step")] = 30.0,
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
        for count in counts:
            say(f"{count} rooms: {count * FLUSHES:.0f} flushes a second for {seconds:g} s")
            steps.append(step := _step(server, len(steps), count, seconds))
            times = f"p50 {1000 * step.median:.0f} ms, p95 {1000 * step.p95:.0f} ms"
            say(f"  {step.flushes:.0f} a second, {times}, PostgreSQL {step.cores:.2f} cores")
            if not step.holds:
                break
    if json_file:
        json_file.write_text(json.dumps([asdict(step) for step in steps], indent=2) + "\n")
    _tell(steps, markdown=markdown)


def _step(server: EmbeddedPostgres, number: int, rooms: int, seconds: float) -> Step:
    asyncio.run(claim_rooms(server.dsn, number, rooms))
    before = asyncio.run(_sizes(server.dsn))
    load = flush(server, number, rooms, rooms * FLUSHES, seconds)
    wal, tables = (b - a for a, b in zip(before, asyncio.run(_sizes(server.dsn)), strict=True))
    if not load.took:
        raise RecorderError("nothing was flushed: --seconds is too short for so few rooms")
    hours = len(load.took) / FLUSHES / 3600  # of a room
    return Step(
        rooms,
        rooms * FLUSHES,
        len(load.took) / seconds,
        share_of(load.took, 0.5),
        share_of(load.took, 0.95),
        max(load.took),
        load.postgres_cores,
        load.machine_cores,
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


def _tell(steps: Sequence[Step], *, markdown: bool) -> None:
    headings = (
        "rooms",
        "flushes/s",
        "p50",
        "p95",
        "slowest",
        "PostgreSQL",
        "machine",
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
            f"{step.machine:.2f} busy",
            f"{step.wal_bytes / 1e6:.1f} MB",
            f"{step.table_bytes / 1e6:.1f} MB",
            "in time" if step.holds else "too late",
        )
        for step in steps
    ]
    print_table(headings, lines, markdown=markdown)


if __name__ == "__main__":
    run(app)
