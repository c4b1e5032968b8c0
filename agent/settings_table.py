"""Settings as a table: on a terminal, and in the README."""

import sys

from pydantic_settings import BaseSettings
from rich.console import Console
from rich.table import Table


def print_settings(settings: type[BaseSettings], *, markdown: bool) -> None:
    """Every setting: environment variable, default, what it does."""
    rows = [
        (name.upper(), str(field.default) if str(field.default) != "" else "", field.description or "")
        for name, field in settings.model_fields.items()
    ]
    if markdown:
        sys.stdout.write("| setting | default | what |\n| --- | --- | --- |\n")
        for name, default, what in rows:
            sys.stdout.write(f"| `{name}` | {f'`{default}`' if default else ''} | {what} |\n")
        return
    table = Table("setting", "default", "what", box=None)
    for row in rows:
        table.add_row(*row)
    Console().print(table)
