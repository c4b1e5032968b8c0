"""What the benchmarks' command lines share: help from a docstring, progress, expected errors in one line."""

import sys

import typer
from rich.console import Console

from agent.session.errors import RecorderError

_console = Console(stderr=True)


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


def run(app: typer.Typer) -> None:
    """Measure; what goes wrong as expected is told in one line."""
    try:
        app()
    except RecorderError as error:
        say(f"error: {error}")
        sys.exit(2)
