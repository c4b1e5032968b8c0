"""How fast is the web part, with 10,000 and with a million sessions in PostgreSQL.

Run it with `python -m bench.web`. A real PostgreSQL with its default settings is filled with sessions, one in
fifty of them of one user, who then lists, searches and reads them over HTTP, one request after the other. The
table tells the times and how they grow; exit code 1 if one is above what was promised.
"""

import asyncio
import json
import secrets
import signal
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import asyncpg
import typer

from agent.local.postgres import run_postgres
from agent.local.processes import LOOPBACK, ChildProcess, free_port, port_answers
from bench.command import JsonFile, Markdown, ascending, help_of, new_app, print_table, run, say
from bench.histories.asking import PROMISED_MS, Timed, ask_all, questions
from bench.histories.filling import fill, sql
from bench.histories.plans import plans
from db.pool import migrate

PROJECT = Path(__file__).parents[1]
START_SECONDS = 60.0
app = new_app()


@app.command(help=help_of(__doc__))
def web(
    sessions: Annotated[str, typer.Option(help="Numbers of sessions, ascending")] = "10000,100000,1000000",
    requests: Annotated[int, typer.Option(min=20, help="Requests of each kind")] = 200,
    show_plans: Annotated[
        bool, typer.Option("--plans", help="Show PostgreSQL's plans with the most sessions")
    ] = False,
    markdown: Markdown = False,
    json_file: JsonFile = None,
) -> None:
    sizes = ascending(sessions, "--sessions", least=5_000)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # ends our children too, as Ctrl-C does
    with tempfile.TemporaryDirectory(prefix="bench-web-") as folder, run_postgres(Path(folder)) as dsn:
        timed = _measured(dsn, sizes, requests)
        found = asyncio.run(plans(dsn)) if show_plans else []
    for asked, plan in found:
        print(f"--- {asked}\n{plan}\n")
    if json_file:
        json_file.write_text(json.dumps([_figures(t) for t in timed], indent=2) + "\n")
    _tell(timed, sizes, markdown=markdown)
    if slow := [t for t in timed if not t.ok]:
        say(f"{len(slow)} of {len(timed)} times are above {PROMISED_MS:g} ms")
        sys.exit(1)


def _measured(dsn: str, sizes: Sequence[int], requests: int) -> list[Timed]:
    asyncio.run(migrate(dsn))
    found: list[Timed] = []
    there = 0
    for size in sizes:
        say(f"{size:,} sessions: filling")
        asyncio.run(fill(dsn, there + 1, size + 1, say))
        there = size
        say(f"  {asyncio.run(_size(dsn))}; asking")
        found += _asked(dsn, size, requests)
    return found


def _asked(dsn: str, size: int, requests: int) -> list[Timed]:
    """The web part as it is served, fresh for each size."""
    secret, port = secrets.token_urlsafe(48), free_port()
    with tempfile.TemporaryDirectory(prefix="bench-web-") as folder:
        server = ChildProcess(
            "the web part",
            [sys.executable, "-m", "web"],
            Path(folder) / "web.log",
            environment={"DATABASE_URL": dsn, "WEB_JWT_SECRET": secret, "WEB_PORT": str(port)},
            directory=PROJECT,
        )
        try:
            server.wait_until(lambda: port_answers(port), timeout=START_SECONDS)
            asked = asyncio.run(questions(dsn))
            return asyncio.run(ask_all(f"http://{LOOPBACK}:{port}", secret, asked, size, requests, say))
        finally:
            server.stop()


async def _size(dsn: str) -> str:
    connection = await asyncpg.connect(dsn)
    try:
        row = await connection.fetchrow(sql["size"])
    finally:
        await connection.close()
    assert row is not None
    return f"{row['sessions']:,} sessions, {row['bytes']} in all"


def _figures(timed: Timed) -> dict[str, object]:
    figures = asdict(timed)
    del figures["question"]
    return {"question": timed.question.name, "promised": timed.question.promised, **figures}


def _tell(timed: Sequence[Timed], sizes: Sequence[int], *, markdown: bool) -> None:
    """A line for each question, its times beside each other for all sizes, and how they grew."""
    headings = ["p50 / p95 in ms, sessions:", *(f"{size:,}" for size in sizes), "grew", "promised"]
    lines = []
    for name in dict.fromkeys(t.question.name for t in timed):
        own = [t for t in timed if t.question.name == name]
        cells = [f"{t.median:.1f} / {t.p95:.1f}" for t in own]
        promised = f"< {PROMISED_MS:g}: {'yes' if own[-1].ok else 'no'}" if own[0].question.promised else "-"
        lines.append([name, *cells, f"x {own[-1].median / own[0].median:.1f}", promised])
    print_table(headings, lines, markdown=markdown)


if __name__ == "__main__":
    run(app)
