"""The command line: `python -m web --help`."""

import sys
from contextlib import suppress
from typing import Annotated, cast

import typer
from pydantic import ValidationError
from rich.console import Console
from rich.markup import escape

from agent import logs
from agent.session.errors import RecorderError
from agent.settings import settings_from_environment
from agent.settings_table import print_settings
from web.settings import SEEING, WebSettings, web_settings_from_environment


def _guards() -> str:
    """Every setting under what it guards, for `--help`."""
    groups: dict[str, list[str]] = {}
    for name, field in WebSettings.model_fields.items():
        group = str(cast("dict[str, object]", field.json_schema_extra or {}).get("group", SEEING))
        groups.setdefault(group, []).append(f"[cyan]{name.upper()}[/cyan]  {escape(field.description or '')}")
    return "\n\n".join(line for group, lines in groups.items() for line in (f"[bold]{group}[/bold]", *lines))


app = typer.Typer(
    help="Shows coaching sessions: an HTTP API and pages.",
    pretty_exceptions_show_locals=False,
    rich_markup_mode="rich",
)
console = Console(stderr=True)
FAREWELL = 5  # seconds for requests under way when told to stop; live pages come back by themselves


@app.callback(invoke_without_command=True, epilog=_guards())
def serve(
    context: typer.Context,
    host: Annotated[str, typer.Option(help="Address to listen on, instead of WEB_HOST")] = "",
    port: Annotated[int, typer.Option(help="Port to listen on, instead of WEB_PORT")] = -1,
) -> None:
    """Serve the API and the pages; refuses to run incomplete and names everything that is missing."""
    if context.invoked_subcommand:
        return
    import uvicorn  # noqa: PLC0415  (slow to import; --help need not)

    from web.app import create_asgi  # noqa: PLC0415
    from web.connections import server_config  # noqa: PLC0415
    from web.threads import share_the_interpreter  # noqa: PLC0415

    settings, recorder = web_settings_from_environment(), settings_from_environment()
    settings = settings.model_copy(update={"web_host": host or settings.web_host})
    logs.configure(recorder.recorder_log_level)
    settings.require_complete(recorder)
    served = create_asgi(settings, recorder)
    share_the_interpreter()
    config = server_config(
        served,
        host=settings.web_host,
        port=settings.web_port if port < 0 else port,
        timeout_graceful_shutdown=FAREWELL,
    )
    server = uvicorn.Server(config)
    with suppress(KeyboardInterrupt):
        server.run()
    if not server.started:
        sys.exit(3)


@app.command(name="settings")
def show_settings(markdown: Annotated[bool, typer.Option(help="As the README's table")] = False) -> None:
    """List the web part's own settings: environment variable, default, what it does."""
    print_settings(WebSettings, markdown=markdown)


def main() -> None:
    """Run a command; what goes wrong as expected is told in one line."""
    try:
        app()
    except ValidationError as error:
        told = ((str(e["loc"][0]).upper(), e["msg"].removeprefix("Value error, ")) for e in error.errors())
        wrong = "; ".join(f"{name}: {what}" for name, what in told)
        console.print(f"[red]error:[/red] wrong settings: {wrong}", highlight=False, soft_wrap=True)
        sys.exit(2)
    except RecorderError as error:
        console.print(f"[red]error:[/red] {error}", highlight=False, soft_wrap=True)
        sys.exit(2)


if __name__ == "__main__":
    main()
