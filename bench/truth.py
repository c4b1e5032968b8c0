"""Does the record tell the truth? Known input is played through a real room and compared with what is stored.

Run it with `python -m bench.truth`, or `python -m bench.truth loss mute` for the cases whose names contain
one of these words. Real LiveKit server, real clients, real Whisper. It ends with one table, and with exit
code 1 if an error is beyond its target.
"""

import asyncio
import json
import signal
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from agent.local.postgres import EmbeddedPostgres
from agent.local.sfu import run_sfu
from agent.local.whisper import run_whisper
from bench.command import help_of, new_app, run, say, table_console
from bench.stack import running_stack
from bench.truths import ALL
from bench.truths.case import QUICK_ROOMS, Case, Rig, Row
from db.pool import migrate

app = new_app()


@app.command(help=help_of(__doc__))
def truth(
    words: Annotated[
        list[str] | None, typer.Argument(help="Only cases whose names contain one of these")
    ] = None,
    list_only: Annotated[bool, typer.Option("--list", help="Name the cases and stop")] = False,
    markdown: Annotated[bool, typer.Option(help="Print the table as Markdown")] = False,
    json_file: Annotated[
        Path | None, typer.Option("--json", help="Write all rows to this file", dir_okay=False)
    ] = None,
) -> None:
    cases = [case for case in ALL if not words or any(word in case.name for word in words)]
    if not cases:
        raise typer.BadParameter("no case has such a name; --list names them all")
    if list_only:
        for case in cases:
            print(f"{case.name}  ({case.seconds:.0f} s)")
        return
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # ends our children too, as Ctrl-C does
    rows = _measure(cases)
    if json_file:
        json_file.write_text(json.dumps([asdict(row) for row in rows], indent=2) + "\n")
    if markdown:
        print(as_markdown(rows))
    else:
        table_console().print(_table(rows))
    beyond = [row for row in rows if not row.holds]
    say(f"{len(rows) - len(beyond)} of {len(rows)} rows within their target")
    sys.exit(1 if beyond else 0)


def _measure(cases: Sequence[Case]) -> list[Row]:
    minutes = (sum(case.seconds for case in cases) + 30) / 60
    say(f"{len(cases)} cases, about {minutes:.0f} minutes; starting LiveKit, PostgreSQL, Whisper, a recorder")
    rows: list[Row] = []
    with tempfile.TemporaryDirectory(prefix="truth-") as name, _rig(Path(name)) as rig:
        for number, case in enumerate(cases, start=1):
            say(f"[{number}/{len(cases)}] {case.name}: about {case.seconds:.0f} s")
            began = time.monotonic()
            try:
                found: list[Row] = asyncio.run(case.measure(rig))
            except Exception as error:  # one case that breaks must not cost the others
                found = [Row(case.name, "", "", f"{type(error).__name__}: {error}"[:200], holds=False)]
            for row in found:
                mark = "ok " if row.holds else "OFF"
                say(f"    {mark} {row.case}: {row.truth} | {row.recorded} | {row.error}")
            say(f"    took {time.monotonic() - began:.0f} s")
            rows += found
    return rows


@contextmanager
def _rig(folder: Path) -> Iterator[Rig]:
    postgres = EmbeddedPostgres(folder / "postgres")
    with (
        run_sfu(folder / "sfu", overrides=QUICK_ROOMS) as sfu,
        run_whisper(folder / "whisper", "base") as whisper_url,
    ):
        try:
            asyncio.run(migrate(postgres.start()))
            with running_stack(sfu, postgres, whisper_url, folder / "recorder") as stack:
                yield Rig(folder, postgres, whisper_url, stack)
        finally:
            postgres.stop()


def _table(rows: Sequence[Row]) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    for heading in ("case", "truth", "recorded", "error", ""):
        table.add_column(heading, overflow="fold")
    for row in rows:
        table.add_row(
            row.case, row.truth, row.recorded, row.error, "" if row.holds else "[red]beyond target[/]"
        )
    return table


def as_markdown(rows: Sequence[Row]) -> str:
    """The table as README shows it."""
    lines = ["| case | truth | recorded | error |", "| --- | --- | --- | --- |"]
    for row in rows:
        error = row.error if row.holds else f"**{row.error}**"
        lines.append(f"| {row.case} | {row.truth} | {row.recorded} | {error} |")
    return "\n".join(lines)


if __name__ == "__main__":
    run(app)
