"""The local Whisper server as a process: how it is run, and how it is started from here."""

import argparse
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from agent.local.models import resolve_model
from agent.local.processes import LOOPBACK, ChildProcess, free_port, port_answers
from agent.private import private_folder
from agent.session.errors import ServiceNotStarted

PROJECT = Path(__file__).parents[2]
LOAD_TIMEOUT = 120.0
DOWNLOAD_TIMEOUT = 1800.0
YIELDING = 5  # niceness: words can wait, but sound that is not taken in time is damaged


class WhisperServer:
    """One local Whisper that keeps its address over `stop`, `kill` and `start`."""

    def __init__(self, data_dir: Path, model: str, *, port: int | None = None) -> None:
        self._data_dir = data_dir
        self._model = model
        self.port = free_port() if port is None else port
        self._timeout = LOAD_TIMEOUT
        self._child: ChildProcess | None = None

    @property
    def base_url(self) -> str:
        return f"http://{LOOPBACK}:{self.port}/v1"

    @property
    def pid(self) -> int:
        """Of the server's process; while it runs."""
        assert self._child is not None
        return self._child.pid

    def start(self) -> str:
        self.spawn()
        return self.wait_until_ready()

    def spawn(self) -> None:
        """Start the process without waiting for its model to load."""
        if port_answers(self.port):
            raise ServiceNotStarted(f"port {self.port} is taken; the local Whisper cannot listen there")
        model = resolve_model(self._model)
        offline = Path(model).is_dir()
        self._timeout = LOAD_TIMEOUT if offline else DOWNLOAD_TIMEOUT
        private_folder(self._data_dir)
        self._child = ChildProcess(
            "local Whisper",
            [sys.executable, "-m", "agent.local.whisper", "--port", str(self.port), "--model", model],
            self._data_dir / "whisper.log",
            environment={"HF_HUB_OFFLINE": "1"} if offline else None,
            directory=PROJECT,
        )

    def wait_until_ready(self) -> str:
        assert self._child is not None
        self._child.wait_until(lambda: port_answers(self.port), timeout=self._timeout)
        return self.base_url

    def stop(self) -> None:
        """End it at once: it holds nothing, and its thread would first finish the utterance."""
        self.kill()

    def kill(self) -> None:
        if self._child is not None:
            self._child.kill()
            self._child = None


@contextmanager
def run_whisper(data_dir: Path, model: str, port: int | None = None) -> Iterator[str]:
    """A local Whisper for the length of a `with`; yields the base URL for an OpenAI client."""
    server = WhisperServer(data_dir, model, port=port)
    try:
        yield server.start()
    finally:
        server.stop()


def serve(host: str = LOOPBACK, port: int = 8000, model: str = "base") -> None:
    """Serve until interrupted; whoever calls this pays for loading Whisper, nobody else."""
    folder_or_name = resolve_model(model)
    if Path(folder_or_name).is_dir():
        os.environ.setdefault("HF_HUB_OFFLINE", "1")
    os.nice(YIELDING)
    import uvicorn  # noqa: PLC0415  see above

    from agent.local.whisper_app import create_app  # noqa: PLC0415  see above

    uvicorn.run(create_app(folder_or_name), host=host, port=port, log_level="warning", access_log=False)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m agent.local.whisper", description=__doc__)
    parser.add_argument("--host", default=LOOPBACK)
    parser.add_argument("--port", type=int, default=8000)
    parser.add_argument("--model", default="base")
    options = parser.parse_args()
    serve(options.host, options.port, options.model)


if __name__ == "__main__":
    main()
