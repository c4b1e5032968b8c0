"""Start what the settings leave open, so that `dev` and `demo` need no account anywhere."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from pydantic import SecretStr

from agent.local.postgres import EmbeddedPostgres
from agent.local.processes import LOOPBACK, free_port
from agent.local.sfu import SfuServer
from agent.local.whisper import WhisperServer
from agent.private import private_folder
from agent.settings import Settings

WEBHOOK_PATH = "/livekit/webhook"  # `agent.webhooks`, which is slow to import
Say = Callable[[str], None]


@contextmanager
def local_services(settings: Settings, say: Say) -> Iterator[Settings]:
    """Yield settings with an address for everything; what we started ends with the `with`.

    All are started before any is waited for. Call it from the main thread (see `ChildProcess`).
    """
    private_folder(settings.recorder_data_dir)
    with ExitStack() as running:
        waits: list[Callable[[], dict[str, Any]]] = []
        if not settings.openai_base_url and not settings.openai_api_key.get_secret_value():
            waits.append(_start_whisper(settings, say, running))
        if not settings.livekit_url:
            waits.append(_start_sfu(settings, say, running))
        if not settings.database_url.get_secret_value():
            waits.append(_start_postgres(settings, say, running))
        addresses: dict[str, Any] = {}
        for wait in reversed(waits):  # the slowest was started first
            addresses |= wait()
        yield settings.model_copy(update=addresses)


def _start_sfu(settings: Settings, say: Say, running: ExitStack) -> Callable[[], dict[str, Any]]:
    port = settings.recorder_http_port or free_port()
    server = SfuServer(settings.recorder_data_dir, webhook=f"http://{LOOPBACK}:{port}{WEBHOOK_PATH}")
    say("starting a LiveKit server …")
    running.callback(server.stop)
    server.spawn()

    def wait() -> dict[str, Any]:
        sfu = server.wait_until_ready()
        say(f"LiveKit server at {sfu.url}, LIVEKIT_API_KEY={sfu.api_key}, secret in {server.key_file}")
        return {
            "livekit_url": sfu.url,
            "livekit_api_key": sfu.api_key,
            "livekit_api_secret": SecretStr(sfu.api_secret),
            "recorder_http_port": port,
        }

    return wait


def _start_postgres(settings: Settings, say: Say, running: ExitStack) -> Callable[[], dict[str, Any]]:
    folder = settings.recorder_data_dir / "postgres"
    server = EmbeddedPostgres(folder)
    say("starting PostgreSQL …")
    running.callback(server.stop)
    server.spawn()

    def wait() -> dict[str, Any]:
        dsn = server.wait_until_ready()
        say(f"PostgreSQL at {dsn}, data in {folder}")
        return {"database_url": SecretStr(dsn)}

    return wait


def _start_whisper(settings: Settings, say: Say, running: ExitStack) -> Callable[[], dict[str, Any]]:
    server = WhisperServer(settings.recorder_data_dir, settings.recorder_local_whisper)
    say(f"starting a local Whisper, model {settings.recorder_local_whisper} …")
    running.callback(server.stop)
    server.spawn()

    def wait() -> dict[str, Any]:
        base_url = server.wait_until_ready()
        say(f"local Whisper at {base_url}, model {settings.recorder_local_whisper}")
        return {"openai_base_url": base_url, "openai_api_key": SecretStr("local")}

    return wait
