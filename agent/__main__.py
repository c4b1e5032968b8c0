"""The command line: `python -m agent --help`."""

import asyncio
import os
import signal
import sys
from contextlib import suppress
from typing import Annotated
from uuid import UUID

import asyncpg
import typer
from pydantic import ValidationError
from rich.console import Console
from rich.markup import escape

from agent import logs
from agent.session.errors import RecorderError, what_failed
from agent.settings import Settings, settings_from_environment
from agent.settings_table import print_settings

app = typer.Typer(
    help="Records coaching sessions in LiveKit rooms: who was there, what was said, how good the call was.",
    no_args_is_help=True,
    pretty_exceptions_show_locals=False,
    rich_markup_mode="rich",
    epilog="Settings are environment variables: `python -m agent settings` lists them.",
)
console = Console(stderr=True)
HOW_TO_TRY = """\
To hold a session: the student joins and gives their counselor the link of the session (Copy link).
A browser is signed in as one person: the counselor opens the link above in a private window or in another
browser, and then the student's."""
UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0}


@app.command()
def dev() -> None:
    """Record rooms on this machine; starts every service that no setting names, and says what it started."""
    from agent.local.services import local_services  # noqa: PLC0415  (not installed in production)
    from agent.local.web import running_web  # noqa: PLC0415

    settings = _settings()
    logs.configure(settings.recorder_log_level)
    with local_services(settings, _say) as complete:
        _migrate(complete)
        with running_web(complete) as web:
            for who, link in web.links().items():
                _say(f"as {'the ' * (who != 'staff')}{who}: {link}")
            _say(HOW_TO_TRY)
            _work(complete, drain=False)


@app.command()
def start() -> None:
    """Record rooms in production; refuses to run incomplete. SIGTERM lets running sessions end."""
    settings = _settings()
    logs.configure(settings.recorder_log_level)
    settings.require_complete()
    _work(settings, drain=True)


@app.command()
def demo() -> None:
    """Hold a session of about a minute between two real clients, and print its record."""
    from agent.demo.run import run_demo  # noqa: PLC0415

    settings = _settings()
    raise typer.Exit(run_demo(settings, Console()))


@app.command()
def show(
    session_id: Annotated[UUID | None, typer.Argument(help="One session; all of them when left out")] = None,
) -> None:
    """Show the demo's sessions in a browser, until Ctrl-C."""
    from agent.demo.show import show as show_sessions  # noqa: PLC0415  (not installed in production)

    show_sessions(_settings(), session_id, _say)


@app.command()
def migrate() -> None:
    """Apply schema.sql to DATABASE_URL; safe to repeat, also two at once."""
    settings = _settings()
    if not settings.database_url.get_secret_value():
        raise RecorderError("DATABASE_URL is not set")
    _migrate(settings)
    _say("the database is up to date")


@app.command()
def cleanup(
    every: Annotated[str, typer.Option(help="Again and again, e.g. every 15m (s, m, h)")] = "",
) -> None:
    """End sessions without a room: too long in progress, they are completed; never entered, removed."""
    from agent.cleanup import clean_up, keep_cleaning_up  # noqa: PLC0415

    settings = _settings()
    logs.configure(settings.recorder_log_level)
    settings.require_complete()
    if every:
        asyncio.run(keep_cleaning_up(settings, _seconds(every)))
    completed = asyncio.run(clean_up(settings))
    _say(f"{completed} session{'s' * (completed != 1)} completed")


@app.command()
def doctor() -> None:
    """Check LiveKit, the database and Whisper one by one, and say what to do about each."""
    from agent.doctor import examine  # noqa: PLC0415

    raise typer.Exit(asyncio.run(examine(_settings(), Console())))


@app.command()
def whisper(
    host: Annotated[str, typer.Option(help="Address to listen on")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on")] = 8090,
    model: Annotated[str, typer.Option(help="base, tiny.en, a folder, or a faster-whisper name")] = "",
) -> None:
    """Serve a local Whisper behind OpenAI's transcription API."""
    from agent.local.whisper import serve  # noqa: PLC0415

    model = model or _settings().recorder_local_whisper
    _say(f"Whisper {model} at http://{host}:{port}/v1 (Ctrl-C ends it)")
    serve(host, port, model)


@app.command(name="settings")
def show_settings(
    markdown: Annotated[bool, typer.Option(help="As the README's table")] = False,
) -> None:
    """List every setting: environment variable, default, what it does."""
    print_settings(Settings, markdown=markdown)


def _work(settings: Settings, *, drain: bool) -> None:
    """Work until told to stop; told twice, stop at once."""
    from agent.worker import prepare  # noqa: PLC0415  (slow to import; --help need not)

    prepare(settings)
    asyncio.run(_worked(settings, drain=drain))


async def _worked(settings: Settings, *, drain: bool) -> None:
    from agent.worker import running  # noqa: PLC0415

    told_to_stop, ready = asyncio.Event(), asyncio.Event()
    us = asyncio.current_task()

    def stop() -> None:
        if told_to_stop.is_set():
            os._exit(1)
        told_to_stop.set()
        if us and not ready.is_set():
            us.cancel()

    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop)
    with suppress(asyncio.CancelledError):
        async with running(settings) as let_sessions_end:
            ready.set()
            await told_to_stop.wait()
            if drain:
                await let_sessions_end()


def _seconds(every: str) -> float:
    number, unit = every[:-1], every[-1:]
    if not number.isdigit() or int(number) < 1 or unit not in UNITS:
        raise typer.BadParameter("a number and s, m or h, e.g. 15m", param_hint="--every")
    return int(number) * UNITS[unit]


def _migrate(settings: Settings) -> None:
    from db.pool import is_transient  # noqa: PLC0415
    from db.pool import migrate as apply_schema  # noqa: PLC0415

    dsn, prefix = settings.database_url.get_secret_value(), settings.recorder_room_prefix
    try:
        for line in asyncio.run(apply_schema(dsn, prefix)):
            _say(line)
    except (asyncpg.InvalidAuthorizationSpecificationError, asyncpg.InvalidCatalogNameError) as error:
        what = type(error).__name__
        raise RecorderError(f"no access to the database ({what}): check DATABASE_URL") from None
    except (ValueError, OverflowError) as error:
        raise RecorderError(f"DATABASE_URL is not a PostgreSQL URL ({type(error).__name__})") from None
    except asyncpg.PostgresError as error:
        why = ", ".join(str(value) for name, value in what_failed(error).items() if name != "where")
        raise RecorderError(f"the database refused the schema ({why}); nothing was changed") from None
    except Exception as error:
        if not is_transient(error):
            raise
        what = type(error).__name__
        raise RecorderError(f"no database ({what}): check DATABASE_URL and that the server runs") from None


def _settings() -> Settings:
    try:
        return settings_from_environment()
    except ValidationError as error:
        wrong = "; ".join(f"{str(e['loc'][0]).upper()}: {e['msg']}" for e in error.errors())
        raise RecorderError(f"wrong settings: {wrong}") from None


def _say(line: str, kind: str = "") -> None:
    console.print(f"{kind}{escape(line)}", highlight=False, soft_wrap=True)


def main() -> None:
    """Run a command; what goes wrong as expected is told in one line."""
    try:
        app()
    except RecorderError as error:
        _say(str(error), kind="[red]error:[/red] ")
        sys.exit(2)


if __name__ == "__main__":
    main()
