"""Do others wait while somebody saves and reads a very long session.

Run it with `python -m bench.big_save`. A user lists their sessions over HTTP, again and again, while another
one saves a session of 20,000 entries and reads it, as JSON and as a page: of five people, and of as many
people as entries (which a save refuses; they are put into the database as an older release would). The table
tells how long the list takes; exit code 1 if its p95 is above what was promised.
"""

import asyncio
import json
import secrets
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any
from uuid import UUID, uuid4

import httpx2
import typer

from agent.local.postgres import run_postgres
from agent.local.processes import LOOPBACK, ChildProcess, free_port, port_answers
from agent.session.errors import RecorderError
from bench.command import JsonFile, Markdown, help_of, new_app, print_table, run, say
from bench.histories.asking import token
from bench.quantiles import share_of
from db.pool import migrate, open_pool

PROJECT = Path(__file__).parents[1]
START_SECONDS = 60.0
PROMISED_MS = 100.0
BEGAN = datetime(2026, 3, 1, 10, tzinfo=UTC)
AT_ONCE = 8
LISTS = 200  # at least
PAUSE = 0.01  # seconds between two requests for the list
READER, TALKER = UUID(int=1), UUID(int=2)
app = new_app()


@dataclass(frozen=True)
class Waited:
    """How long the list took, in ms, while something else went on; and how long that took, in s."""

    meanwhile: str
    lists: int
    p50: float
    p95: float
    worst: float
    seconds: float | None


@app.command(help=help_of(__doc__))
def big_save(
    entries: Annotated[int, typer.Option(min=100, help="Entries of the long session")] = 20_000,
    times: Annotated[int, typer.Option(min=1, help="How often it is saved, and read")] = 10,
    markdown: Markdown = False,
    json_file: JsonFile = None,
) -> None:
    with tempfile.TemporaryDirectory(prefix="bench-big-save-") as folder, run_postgres(Path(folder)) as dsn:
        found = _measured(dsn, Path(folder), entries, times)
    if json_file:
        json_file.write_text(json.dumps([asdict(w) for w in found], indent=2) + "\n")
    headings = ["others' list, in ms, while another user ...", "lists", "p50", "p95", "worst", "takes"]
    lines = [
        [w.meanwhile, str(w.lists), *(f"{ms:.1f}" for ms in (w.p50, w.p95, w.worst)), _took(w.seconds)]
        for w in found
    ]
    print_table(headings, lines, markdown=markdown)
    if slow := [w for w in found if w.p95 > PROMISED_MS]:
        say(f"{len(slow)} of {len(found)} p95 are above {PROMISED_MS:g} ms")
        sys.exit(1)


def _measured(dsn: str, folder: Path, entries: int, times: int) -> list[Waited]:
    asyncio.run(migrate(dsn))
    secret, port = secrets.token_urlsafe(48), free_port()
    server = ChildProcess(
        "the web part",
        [sys.executable, "-m", "web"],
        folder / "web.log",
        environment={"DATABASE_URL": dsn, "WEB_JWT_SECRET": secret, "WEB_PORT": str(port)},
        directory=PROJECT,
    )
    try:
        server.wait_until(lambda: port_answers(port), timeout=START_SECONDS)
        return asyncio.run(_all(dsn, f"http://{LOOPBACK}:{port}", secret, entries, times))
    finally:
        server.stop()


async def _all(dsn: str, url: str, secret: str, entries: int, times: int) -> list[Waited]:
    async with AsyncExitStack() as opened:
        users = [READER, TALKER, *(uuid4() for _ in range(AT_ONCE))]
        clients = [await opened.enter_async_context(_client(url, token(user, secret))) for user in users]
        reader, talker, *others = clients
        for _ in range(20):
            await _save(reader, session(2, 2), 201)
        found = [await _while(reader, "does nothing", None)]
        few, many = session(entries, 5), session(entries, entries)
        await _put_in(dsn, many)

        async def saves() -> None:
            await _save(talker, {**few, "session_id": str(uuid4())}, 201)

        async def is_refused() -> None:
            await _save(talker, {**many, "session_id": str(uuid4())}, 422)

        async def saves_again() -> None:
            await _save(talker, few, 200)

        async def all_save() -> None:
            new = [{**few, "session_id": str(uuid4())} for _ in others]
            await asyncio.gather(*(_save(one, body, 201) for one, body in zip(others, new, strict=True)))

        async def all_read() -> None:
            await asyncio.gather(*(_reading(talker, "/session-history", few)() for _ in others))

        await _save(talker, few, 201)
        for meanwhile, doing in (
            (f"saves {entries:,} entries of 5 people", saves),
            ("saves them again", saves_again),
            (f"saves {entries:,} entries of as many people: refused", is_refused),
            ("reads those of 5 as JSON", _reading(talker, "/api/sessions", few)),
            ("reads those of 5 as a page", _reading(talker, "/session-history", few)),
            ("downloads those of 5 as WebVTT", _reading(talker, "/api/sessions", few, "/transcript.vtt")),
            ("reads those of as many as JSON", _reading(talker, "/api/sessions", many)),
            ("reads those of as many as a page", _reading(talker, "/session-history", many)),
            (f"and {AT_ONCE} at once save", all_save),
            (f"and {AT_ONCE} at once read the page", all_read),
        ):
            found.append(await _while(reader, meanwhile, doing, times))
            say(f"{meanwhile}: p95 {found[-1].p95:.1f} ms")
    return found


def session(entries: int, people: int) -> dict[str, Any]:
    """A finished session as a client sends it: 2 MB for 20,000 entries."""
    return {
        "session_id": str(uuid4()),
        "mode": "video",
        "start_time": BEGAN.isoformat(),
        "end_time": (BEGAN + timedelta(seconds=1.5 * entries)).isoformat(),
        "transcript": [
            {
                "speaker": "user",
                "identity": f"identity-{n % people}",
                "text": f"Sentence number {n}.",
                "timestamp": (BEGAN + timedelta(seconds=1.5 * n)).isoformat(),
            }
            for n in range(entries)
        ],
    }


async def _while(
    reader: httpx2.AsyncClient, meanwhile: str, doing: Callable[[], Awaitable[None]] | None, times: int = 1
) -> Waited:
    """Ask for the list until the other has done its work so many times, and the list has come often."""
    took: list[float] = []
    done = _Done()
    began = time.perf_counter()
    work = asyncio.create_task(done.again_and_again(doing)) if doing else None
    while len(took) < LISTS or (work and done.times < times and not work.done()):
        asked = time.perf_counter()
        answer = await reader.get("/api/sessions")
        took.append((time.perf_counter() - asked) * 1000)
        if answer.status_code != 200:
            raise RecorderError(f"the list: answer {answer.status_code}")
        await asyncio.sleep(PAUSE)
    done.enough = True
    if work:
        await work
    seconds = (time.perf_counter() - began) / done.times if work else None
    return Waited(meanwhile, len(took), share_of(took, 0.5), share_of(took, 0.95), max(took), seconds)


@dataclass
class _Done:
    """How often something was done, until it is enough."""

    times: int = 0
    enough: bool = False

    async def again_and_again(self, doing: Callable[[], Awaitable[None]]) -> None:
        while not self.enough:
            await doing()
            self.times += 1


async def _save(client: httpx2.AsyncClient, body: dict[str, Any], status: int) -> None:
    content = await asyncio.to_thread(json.dumps, body)
    answer = await client.post("/api/sessions/save", content=content)
    if answer.status_code != status:
        raise RecorderError(f"a save: answer {answer.status_code}, not {status}")


def _reading(
    client: httpx2.AsyncClient, path: str, body: dict[str, Any], form: str = ""
) -> Callable[[], Awaitable[None]]:
    async def read() -> None:
        answer = await client.get(f"{path}/{body['session_id']}{form}")
        if answer.status_code != 200:
            raise RecorderError(f"reading: answer {answer.status_code}")

    return read


async def _put_in(dsn: str, body: dict[str, Any]) -> None:
    pool = await open_pool(dsn)
    try:
        await pool.execute(
            "insert into sessions (session_id, room_name, user_id, mode, status, start_time, end_time,"
            " transcript) values ($1, 'long', $2, 'video', 'completed', $3, $4, $5)",
            UUID(body["session_id"]),
            TALKER,
            datetime.fromisoformat(body["start_time"]),
            datetime.fromisoformat(body["end_time"]),
            body["transcript"],
        )
    finally:
        pool.terminate()


def _client(url: str, signed: str) -> httpx2.AsyncClient:
    return httpx2.AsyncClient(
        base_url=url,
        timeout=120,
        headers={"authorization": f"Bearer {signed}"},
        cookies={"coaching_session": signed},
    )


def _took(seconds: float | None) -> str:
    return "-" if seconds is None else f"{seconds:.2f} s"


if __name__ == "__main__":
    run(app)
