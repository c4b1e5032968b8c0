"""Start what is needed, hold the session, read its record back and judge it."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from time import monotonic
from typing import Any
from uuid import UUID, uuid4

from rich.console import Console
from rich.markup import escape

from agent import logs
from agent.demo.completeness import what_is_missing
from agent.demo.report import print_record
from agent.demo.script import Played, play
from agent.local.services import local_services
from agent.printable import printable
from agent.private import opened, private_folder
from agent.settings import Settings
from agent.worker import prepare, running
from db.pool import migrate, open_pool
from db.sessions import load_record

FINISH_SECONDS = 90.0  # for the last words and leaves to be written after the clients have gone
LOG = "recorder.log"


def run_demo(settings: Settings, console: Console) -> int:
    """Hold the demo's session and print its record; the exit code is 0 only when the record is complete."""
    settings = own_settings(settings)
    folder = settings.recorder_data_dir
    private_folder(folder)
    began = monotonic()

    def say(line: str) -> None:
        since, line = f"[dim]{monotonic() - began:5.1f} s[/dim]", escape(printable(line))
        console.print(f"{since}  {line}", highlight=False, soft_wrap=True)

    with opened(folder / LOG, "w") as log_file, local_services(settings, say) as complete:
        logs.configure(settings.recorder_log_level, log_file)
        prepare(complete)
        played, record = asyncio.run(_held(complete, say))
    return _judged(console, played, record, folder / LOG)


def own_settings(settings: Settings) -> Settings:
    """The demo keeps its things beside what `dev` keeps, so that both can run."""
    folder = settings.recorder_data_dir / "demo"
    own = {"recorder_data_dir": folder, "recorder_spool_dir": folder / "spool", "recorder_health_port": 0}
    return settings.model_copy(update=own)


async def _held(settings: Settings, say: Callable[[str], None]) -> tuple[Played, dict[str, Any] | None]:
    """The session as it truly was, and as PostgreSQL has it."""
    dsn = settings.database_url.get_secret_value()
    await migrate(dsn)
    say("starting the recorder …")
    async with running(settings):
        say("the recorder is ready: LiveKit sends it every room whose name begins with coaching-")
        room = f"{settings.recorder_room_prefix}{uuid4()}"
        secret = settings.livekit_api_secret.get_secret_value()
        played = await play(settings.livekit_url, settings.livekit_api_key, secret, room, say)
        say("waiting for the last words to be written …")
        return played, await _finished_record(dsn, played.session_id)


async def _finished_record(dsn: str, session_id: UUID) -> dict[str, Any] | None:
    """The session once it is completed and nobody is in it; as it is when that takes too long."""
    pool = await open_pool(dsn)
    deadline = monotonic() + FINISH_SECONDS
    try:
        while True:
            record = await load_record(pool, session_id)
            gone = record is not None and all(stay["left_at"] for stay in record["participants"])
            if (record and record["status"] == "completed" and gone) or monotonic() > deadline:
                return record
            await asyncio.sleep(0.2)
    finally:
        await pool.close()


def _judged(console: Console, played: Played, record: dict[str, Any] | None, log: Path) -> int:
    if record is not None:
        console.print()
        print_record(console, record, record["participants"], record["readings"])
        command = f".venv/bin/python -m agent show {played.session_id}"
        console.print(f"\nIn a browser: {command}", highlight=False, soft_wrap=True)
    console.print()
    missing = what_is_missing(
        played, record, record["participants"] if record else [], record["readings"] if record else []
    )
    for sentence in missing:
        console.print(f"[red]missing[/red] {escape(printable(sentence))}", highlight=False)
    if missing:
        console.print(f"The record is not complete. What the recorder logged: {log}", highlight=False)
        return 1
    console.print("[green]The record is complete.[/green]")
    return 0
