"""The demo's sessions in a browser, after the demo has ended."""

import asyncio
import signal
from collections.abc import Callable
from contextlib import ExitStack
from uuid import UUID

from pydantic import SecretStr

from agent.demo.run import own_settings
from agent.local.postgres import run_postgres
from agent.local.web import running_web
from agent.settings import Settings
from db.pool import migrate


def show(settings: Settings, session_id: UUID | None, say: Callable[[str], None]) -> None:
    """Serve them until Ctrl-C."""
    settings = own_settings(settings)
    with ExitStack() as running:
        if not settings.database_url.get_secret_value():
            dsn = running.enter_context(run_postgres(settings.recorder_data_dir / "postgres"))
            settings = settings.model_copy(update={"database_url": SecretStr(dsn)})
        asyncio.run(migrate(settings.database_url.get_secret_value()))
        server = running.enter_context(running_web(settings))
        say(f"open {server.link(session_id)}")
        say("Ctrl-C ends it")
        ends = {signal.SIGINT, signal.SIGTERM}
        signal.pthread_sigmask(signal.SIG_BLOCK, ends)
        signal.sigwait(ends)
