"""What a very long room costs its recorder: to save it, and what still comes once it has ended.

Run it with `python -m bench.long_room`. A recorder with a real PostgreSQL is told of a room of 1 h and of one
of 10 h, with 2 and with 20 people: each hour 2,000 utterances (half of them also sent by their speakers), 30
rejoins of each person, and readings of two tracks of each every 10 s. Then everybody leaves and it is saved,
again and again; meanwhile a task that sleeps 5 ms notes how late it wakes. After the end late words come,
four a second. The table tells what a save takes and of what that consists, and how it grows.
"""

import asyncio
import json
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated
from uuid import uuid4

import typer

from agent.local.postgres import run_postgres
from agent.recorder import Recorder
from bench.command import JsonFile, Markdown, help_of, new_app, print_table, run, say
from bench.long_room_events import end, events, one_more, room
from bench.quantiles import share_of
from db import sessions
from db.pool import Pool, migrate, open_pool

LATE_WORDS = 40
app = new_app()


@dataclass(frozen=True)
class Cost:
    """Seconds, but for the events and the megabytes; `cpu` of each event that comes after the end."""

    hours: float
    people: int
    events: int
    megabytes: float  # of the transcript
    save_p50: float
    save_p95: float
    stall: float  # the longest of the loop while it was saved, and while late words came
    folding: float  # of a save: putting the row together, off the loop
    writing: float  # of a save: until PostgreSQL has taken it
    cpu: float


@app.command(help=help_of(__doc__))
def long_room(
    hours: Annotated[str, typer.Option(help="Lengths of the rooms")] = "1,10",
    people: Annotated[str, typer.Option(help="Of how many people")] = "2,20",
    saves: Annotated[int, typer.Option(min=1, help="How often each is saved")] = 10,
    markdown: Markdown = False,
    json_file: JsonFile = None,
) -> None:
    with tempfile.TemporaryDirectory(prefix="bench-long-room-") as folder, run_postgres(Path(folder)) as dsn:
        asyncio.run(migrate(dsn))
        found = [
            asyncio.run(_measured(dsn, Path(folder), float(h), int(p), saves))
            for p in people.split(",")
            for h in hours.split(",")
        ]
    if json_file:
        json_file.write_text(json.dumps([asdict(cost) for cost in found], indent=2) + "\n")
    headings = [
        "room",
        "events",
        "transcript",
        "save p50",
        "p95",
        "row made",
        "written",
        "stall",
        "CPU per late event",
    ]
    print_table(headings, [_line(cost) for cost in found], markdown=markdown)


def _line(cost: Cost) -> list[str]:
    seconds = (cost.save_p50, cost.save_p95, cost.folding, cost.writing, cost.stall, cost.cpu)
    return [
        f"{cost.hours:g} h, {cost.people} people",
        f"{cost.events:,}",
        f"{cost.megabytes:.1f} MB",
        *(f"{1000 * s:.0f} ms" for s in seconds),
    ]


async def _measured(dsn: str, folder: Path, hours: float, people: int, saves: int) -> Cost:
    pool = await open_pool(dsn)
    try:
        recorder = Recorder(room(uuid4()), pool, folder)
        told = list(events(hours, people))
        for event in told:
            recorder.record(event)
        with suppress(
            Exception
        ):  # a long room's whole journal at once is more than a statement's time may allow
            await recorder.save()
        for event in end(hours, people):
            recorder.record(event)
        took: list[float] = []
        async with _watched() as stalls:
            for n in range(saves):
                began = time.perf_counter()
                await recorder.save()
                took.append(time.perf_counter() - began)
                recorder.record(one_more(n, hours))
        async with _watched() as late_stalls:
            cpu = await _late_words(recorder, hours, saves)
        folding, writing = await _parts(recorder, pool)
        row = await pool.fetchval(
            "select transcript from sessions where session_id = $1", recorder.session.info.session_id
        )
        megabytes = len(json.dumps(row)) / 1e6
        cost = Cost(
            hours, people, len(told), megabytes, share_of(took, 0.5), share_of(took, 0.95),
            max([*stalls, *late_stalls]), folding, writing, cpu,
        )  # fmt: skip
        say(" | ".join(_line(cost)))
        return cost
    finally:
        pool.terminate()


async def _late_words(recorder: Recorder, hours: float, first: int) -> float:
    """CPU of each event that comes after the end, as `keep` deals with them."""
    keeping = asyncio.create_task(recorder.keep())
    began = time.process_time()
    for n in range(first, first + LATE_WORDS):
        recorder.record(one_more(n, hours))
        await asyncio.sleep(0.25)
    await recorder.saved()
    spent = time.process_time() - began
    keeping.cancel()
    with suppress(asyncio.CancelledError):
        await keeping
    return spent / LATE_WORDS


async def _parts(recorder: Recorder, pool: Pool) -> tuple[float, float]:
    """What a save consists of."""
    folding = await _seconds(lambda: sessions.gathered(recorder.session, [], finished=True))
    whole = await sessions.gathered(recorder.session, [], finished=True)
    async with pool.acquire() as connection:
        return folding, await _seconds(lambda: sessions.write(connection, whole, 10**9))


async def _seconds(doing: Callable[[], Awaitable[object]]) -> float:
    began = time.perf_counter()
    await doing()
    return time.perf_counter() - began


@asynccontextmanager
async def _watched() -> AsyncIterator[list[float]]:
    """How late the loop wakes a task that sleeps 5 ms."""
    late = [0.0]

    async def watch() -> None:
        while True:
            began = time.perf_counter()
            await asyncio.sleep(0.005)
            late.append(time.perf_counter() - began - 0.005)

    watching = asyncio.create_task(watch())
    try:
        yield late
    finally:
        watching.cancel()


if __name__ == "__main__":
    run(app)
