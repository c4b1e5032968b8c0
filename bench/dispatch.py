"""How soon a recorder hears a new room, and what waiting for one costs, by each way to dispatch it.

Run it with `python -m bench.dispatch`. Each way has a fresh worker and a fresh LiveKit server (or two that
are one LiveKit, with half of the rooms on each); they take turns, so that other work disturbs all.
"""

import asyncio
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Annotated, Any
from uuid import uuid4

import asyncpg
import typer
from livekit import api

from agent.demo.caller import Caller
from agent.local.postgres import EmbeddedPostgres
from agent.local.processes import ChildProcess, free_port, port_answers
from agent.local.sfu import KEY_FILE, Sfu, api_key, run_sfu
from agent.webhooks import PATH
from bench.command import Markdown, help_of, new_app, print_table, run, say
from bench.latency import Spread, first_frames
from bench.procfs import read_cpu
from bench.services import ROOM_PREFIX, python
from bench.stack import until, worker_environment
from bench.valkey import run_valkey
from db.pool import migrate

IDLE_SECONDS = 10.0
HEARD_WITHIN = 30.0
AGENT_NAME = "coaching-recorder"
WAYS = ("automatic", "named", "own", "own, webhooks")

app = new_app()


@dataclass
class Seen:
    """Of one way: when its rooms were created, and what idle worker and services cost (% of a core)."""

    created: dict[str, datetime] = field(default_factory=dict)
    idle: list[Mapping[str, float]] = field(default_factory=list)


@dataclass(frozen=True)
class Given:
    """What all ways share."""

    folder: Path
    database: EmbeddedPostgres
    whisper_url: str


@app.command(help=help_of(__doc__))
def dispatch(
    rooms: Annotated[int, typer.Option(min=1, help="Rooms of each way and turn")] = 10,
    at_a_time: Annotated[int, typer.Option(min=1, help="Rooms that begin at once")] = 2,
    turns: Annotated[int, typer.Option(min=1, help="Turns of each way")] = 2,
    nodes: Annotated[int, typer.Option(min=1, max=2, help="Nodes of the LiveKit")] = 1,
    ways: Annotated[str, typer.Option("--dispatch", help="Ways, separated by semicolons")] = ";".join(WAYS),
    markdown: Markdown = False,
) -> None:
    seen = {way: Seen() for way in ways.split(";")}
    if not set(WAYS) >= seen.keys():
        raise typer.BadParameter(f"of {'; '.join(WAYS)}", param_hint="--dispatch")
    with tempfile.TemporaryDirectory(prefix="dispatch-") as name, _given(Path(name)) as given:
        for turn in range(turns):
            for way, found in seen.items():
                say(f"[{turn + 1}/{turns}] {way}: {rooms} rooms")
                _play(given, given.folder / f"{turn}-{len(way)}", way, found, rooms, at_a_time, nodes)
        lines = [_line(way, found, given) for way, found in seen.items()]
    headings = ["dispatch", "creation to first frame", "microphone to first frame"]
    idle = [f"idle {name}, % of a core" for name in ("worker", "LiveKit", "PostgreSQL")]
    title = "median / 95 % / worst"
    print_table([*headings, *idle], lines, markdown=markdown, title=title)


@contextmanager
def _given(folder: Path) -> Iterator[Given]:
    port, database = free_port(), EmbeddedPostgres(folder / "postgres")
    with python(["bench.instant_whisper", str(port)], folder / "whisper.log") as whisper:
        try:
            asyncio.run(migrate(database.start()))
            whisper.wait_until(lambda: port_answers(port), timeout=30)
            yield Given(folder, database, f"http://127.0.0.1:{port}/v1")
        finally:
            database.stop()


def _play(given: Given, folder: Path, way: str, seen: Seen, rooms: int, at_a_time: int, nodes: int) -> None:
    """One turn of one way."""
    settings = {"RECORDER_DISPATCH": way.split(",", maxsplit=1)[0], "RECORDER_AGENT_NAME": AGENT_NAME}
    port = free_port()
    webhooks = way.endswith("webhooks")
    if webhooks:
        settings["RECORDER_HTTP_PORT"] = str(port)
    with ExitStack() as stack:
        sfus = _livekit(stack, folder, nodes, f"http://127.0.0.1:{port}{PATH}" if webhooks else None)
        environment = worker_environment(
            sfus[0], given.database.dsn, given.whisper_url, folder / "spool", **settings
        )
        worker = stack.enter_context(python(["agent", "start"], folder / "worker.log", environment))
        worker.wait_until(lambda: "worker_ready" in worker.log.read_text(), timeout=90)
        time.sleep(3)  # its warm processes
        seen.idle.append(_idle(worker, sfus[0], given.database))
        asyncio.run(_fill(given, sfus, way, seen, rooms, at_a_time))


def _livekit(stack: ExitStack, folder: Path, nodes: int, webhook: str | None) -> list[Sfu]:
    key_file = folder / KEY_FILE
    folder.mkdir(parents=True)
    overrides: dict[str, Any] = {"room": {"departure_timeout": 2}}
    if webhook:
        overrides["webhook"] = {"api_key": api_key(key_file)[0], "urls": [webhook]}
    redis = stack.enter_context(run_valkey(folder / "valkey")) if nodes > 1 else None
    return [
        stack.enter_context(
            run_sfu(folder / str(n), port=free_port(), redis=redis, key_file=key_file, overrides=overrides)
        )
        for n in range(nodes)
    ]


def _idle(worker: ChildProcess, sfu: Sfu, database: EmbeddedPostgres) -> Mapping[str, float]:
    assert database.pid is not None
    pids = {"worker": worker.pid, "sfu": sfu.pid, "database": database.pid}
    before = {name: read_cpu(pid) for name, pid in pids.items()}
    time.sleep(IDLE_SECONDS)
    return {name: read_cpu(pid).percent_since(before[name]) for name, pid in pids.items()}


async def _fill(given: Given, sfus: Sequence[Sfu], way: str, seen: Seen, rooms: int, at_a_time: int) -> None:
    """Rooms begin a few at once, and the next when all of these are heard."""
    connection = await asyncpg.connect(given.database.dsn)
    try:
        for begin in range(0, rooms, at_a_time):
            numbers = range(begin, min(begin + at_a_time, rooms))
            names = [f"{ROOM_PREFIX}{uuid4()}" for _ in numbers]
            where = [sfus[number % len(sfus)] for number in numbers]
            gone = asyncio.Event()
            async with asyncio.TaskGroup() as group:
                for name, sfu in zip(names, where, strict=True):
                    group.create_task(_one(name, sfu, way, seen, gone))
                await until(partial(_heard, connection, names), within=HEARD_WITHIN)
                gone.set()
    finally:
        await connection.close()


async def _one(name: str, sfu: Sfu, way: str, seen: Seen, gone: asyncio.Event) -> None:
    address = (sfu.url, sfu.api_key, sfu.api_secret)
    async with api.LiveKitAPI(*address) as livekit:
        agents = [api.RoomAgentDispatch(agent_name=AGENT_NAME)] if way == "named" else []
        room = await livekit.room.create_room(api.CreateRoomRequest(name=name, agents=agents))
        seen.created[name] = datetime.fromtimestamp(room.creation_time_ms / 1000, UTC)
    async with Caller.joining(*address, name, "student-1"):
        await gone.wait()


async def _heard(connection: "asyncpg.Connection[asyncpg.Record]", names: Sequence[str]) -> bool:
    found: int = await connection.fetchval(
        "select count(distinct room_name) from session_events join sessions using (session_id)"
        " where room_name = any($1::text[]) and kind = 'GapNoted' and data ->> 'what' = 'transcript'",
        list(names),
    )
    return found == len(names)


def _line(way: str, seen: Seen, given: Given) -> list[str]:
    async def asked() -> tuple[Spread | None, Spread | None]:
        connection = await asyncpg.connect(given.database.dsn)
        try:
            return await first_frames(connection, seen.created)
        finally:
            await connection.close()

    spreads = asyncio.run(asked())
    idle = [
        f"{sum(turn[name] for turn in seen.idle) / len(seen.idle):.1f}"
        for name in ("worker", "sfu", "database")
    ]
    return [way, *map(str, spreads), *idle]


if __name__ == "__main__":
    run(app)
