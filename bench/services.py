"""What both workers are given: a real LiveKit server, a real PostgreSQL, and a Whisper that takes no time."""

import asyncio
import os
import signal
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from pydantic import SecretStr

from agent.local.postgres import EmbeddedPostgres
from agent.local.processes import ChildProcess, free_port, port_answers
from agent.local.sfu import Sfu, run_sfu
from agent.settings import Settings
from db.pool import migrate

PROJECT = Path(__file__).parents[1]
ROOM_PREFIX = "coaching-"
DEPARTURE_SECONDS = 2  # an empty room is closed so soon: a finished measurement need not wait for it
STOP_TIMEOUT = 25.0


@dataclass(frozen=True)
class Services:
    """Where everything is. `folder` is for logs and data, and goes when the run ends."""

    folder: Path
    sfu: Sfu
    database_pid: int
    database_url: str
    whisper_port: int

    def settings(self) -> Settings:
        """The recorder's settings: the user's own, at these addresses."""
        return Settings().model_copy(
            update={
                "livekit_url": self.sfu.url,
                "livekit_api_key": self.sfu.api_key,
                "livekit_api_secret": SecretStr(self.sfu.api_secret),
                "database_url": SecretStr(self.database_url),
                "openai_api_key": SecretStr("none"),
                "openai_base_url": f"http://127.0.0.1:{self.whisper_port}/v1",
                "recorder_room_prefix": ROOM_PREFIX,
                "recorder_health_port": 0,
                "recorder_spool_dir": self.folder / "spool",
                "recorder_data_dir": self.folder / "recorder",
            }
        )


@contextmanager
def services(folder: Path) -> Iterator[Services]:
    """Start them all; they end with the `with`."""
    port = free_port()
    database = EmbeddedPostgres(folder / "postgres")
    with (
        run_sfu(folder, overrides={"room": {"departure_timeout": DEPARTURE_SECONDS}}) as sfu,
        python(["bench.instant_whisper", str(port)], folder / "whisper.log") as whisper,
    ):
        try:
            url = database.start()
            asyncio.run(migrate(url))
            whisper.wait_until(lambda: port_answers(port), timeout=30)
            assert database.pid is not None
            yield Services(folder, sfu, database.pid, url, port)
        finally:
            database.stop()


@contextmanager
def python(
    module: Sequence[str], log: Path, environment: Mapping[str, str] | None = None
) -> Iterator[ChildProcess]:
    """`python -m` something, asked to end after the `with` and, like all that it started, made to."""
    child = ChildProcess(
        module[0], [sys.executable, "-m", *module], log, environment=environment, directory=PROJECT
    )
    try:
        yield child
    except BaseException:
        child.kill()
        raise
    else:
        child.stop(timeout=STOP_TIMEOUT)
    finally:
        with suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)  # its own children are in its group
