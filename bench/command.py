"""What the benchmarks' command lines share: help from a docstring, progress, expected errors in one line."""

import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from agent.session.errors import RecorderError

_console = Console(stderr=True)

Markdown = Annotated[bool, typer.Option(help="Print the table as Markdown")]
JsonFile = Annotated[
    Path | None, typer.Option("--json", help="Write all figures to this file", dir_okay=False)
]


def new_app() -> typer.Typer:
    """A command line without completion, whose tracebacks show no values."""
    return typer.Typer(add_completion=False, pretty_exceptions_show_locals=False)


def help_of(docstring: str | None) -> str:
    """A module's docstring as help: its paragraphs, without the line breaks within them."""
    return (docstring or "").replace("\n\n", "\0").replace("\n", " ").replace("\0", "\n\n")


def say(line: str) -> None:
    """Tell how it goes."""
    _console.print(line, highlight=False, markup=False, soft_wrap=True)


def table_console() -> Console:
    """Standard output, wide enough for a table where it is no terminal."""
    return Console(width=None if sys.stdout.isatty() else 160)


def print_table(
    headings: Sequence[str], lines: Iterable[Sequence[str]], *, markdown: bool, title: str = ""
) -> None:
    """For people, or as Markdown; all columns but the first are figures."""
    if markdown:
        print(f"\n{title}\n" if title else "", end="\n" if title else "")
        for line in (headings, ["---"] * len(headings), *lines):
            print(f"| {' | '.join(line)} |")
        return
    table = Table(title=title or None, box=None, padding=(0, 2, 0, 0), header_style="bold")
    for heading in headings:
        table.add_column(heading, justify="left" if heading == headings[0] else "right")
    for line in lines:
        table.add_row(*line)
    table_console().print(table)


def ascending(text: str, option: str, *, least: int) -> list[int]:
    """The numbers of `--rooms 1,4`; `RecorderError` for others than ascending ones from `least` on."""
    try:
        numbers = [int(part) for part in text.split(",")]
    except ValueError:
        numbers = []
    if not numbers or numbers != sorted(set(numbers)) or numbers[0] < least:
        raise RecorderError(f"{option}: numbers from {least} on, ascending, e.g. {least},{10 * least}")
    return numbers


def run(app: typer.Typer) -> None:
    """Measure; what goes wrong as expected is told in one line."""
    try:
        app()
    except RecorderError as error:
        say(f"error: {error}")
        sys.exit(2)
