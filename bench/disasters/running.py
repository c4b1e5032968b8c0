"""Scenario after scenario, and the table of them all."""

import asyncio
import json
import logging
import signal
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path

from rich.table import Table

from bench.command import say, table_console
from bench.disasters.rig import Rig, rigged
from bench.disasters.rows import Row, broken

Play = Callable[[Path], Awaitable[Sequence[Row]]]


@dataclass(frozen=True)
class Scenario:
    """`play` is given a folder of its own, for services and logs."""

    name: str
    play: Play


@dataclass(frozen=True)
class Output:
    """How the table is told. `keep`: the logs stay."""

    markdown: bool
    json_file: Path | None
    keep: bool


def on_a_rig(play: Callable[[Rig], Awaitable[Sequence[Row]]]) -> Play:
    """A scenario that has all services, and no worker yet."""

    async def played(folder: Path) -> Sequence[Row]:
        async with rigged(folder) as rig:
            return await play(rig)

    return played


def run_all(scenarios: Sequence[Scenario], output: Output) -> bool:
    """Play them one after the other; whether every promise was kept."""
    logging.getLogger("livekit").setLevel(logging.CRITICAL)  # clients complain of a server that we killed
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # ends our children too, as Ctrl-C does
    rows: list[Row] = []
    with ExitStack() as stack:
        if output.keep:
            folder = Path(tempfile.mkdtemp(prefix="chaos-"))
            say(f"logs in {folder}")
        else:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="chaos-")))
        for number, scenario in enumerate(scenarios, start=1):
            say(f"[{number}/{len(scenarios)}] {scenario.name}")
            rows += _played(scenario, folder / str(number))
    _tell(rows, output)
    kept = sum(row.ok for row in rows)
    say(f"{kept} of {len(rows)} rows as promised")
    return bool(rows) and kept == len(rows)


def _played(scenario: Scenario, folder: Path) -> Sequence[Row]:
    began = time.monotonic()

    async def play() -> Sequence[Row]:
        return await scenario.play(folder)

    try:
        rows = asyncio.run(play())
    except Exception as error:  # one scenario that breaks must not cost the others
        rows = [broken(scenario.name, error)]
    for row in rows:
        say(f"  {'ok ' if row.ok else 'OFF'} {row.case} | {row.promise} | {row.expected} | {row.seen}")
    say(f"  took {time.monotonic() - began:.0f} s")
    return rows


def _tell(rows: Sequence[Row], output: Output) -> None:
    if output.json_file:
        output.json_file.write_text(json.dumps([asdict(row) for row in rows], indent=2) + "\n")
    if output.markdown:
        print("| case | promise | expected | seen | |\n| --- | --- | --- | --- | --- |")
        for row in rows:
            ok = "ok" if row.ok else "**broken**"
            print(f"| {row.case} | {row.promise} | {row.expected} | {row.seen} | {ok} |")
        return
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    for heading in ("case", "promise", "expected", "seen", ""):
        table.add_column(heading, overflow="fold")
    for row in rows:
        table.add_row(row.case, row.promise, row.expected, row.seen, "ok" if row.ok else "[red]broken[/]")
    table_console().print(table)
