"""A LiveKit server of our own, reachable from this machine only."""

import json
import secrets
import shutil
import socket
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agent.local.processes import LOOPBACK, ChildProcess, free_port, port_answers
from agent.private import kept_text, private_folder
from agent.session.errors import ServiceNotStarted

DEFAULT_PORT = 7880
KEY_FILE = "livekit.keys"
START_TIMEOUT = 20.0


@dataclass(frozen=True)
class Sfu:
    """Where a running server is, and what opens it."""

    url: str
    api_key: str
    api_secret: str
    pid: int


def api_key(key_file: Path) -> tuple[str, str]:
    """LiveKit's API key and secret in a file as LiveKit reads it (YAML), made the first time."""
    kept = kept_text(key_file, lambda: f"dev{secrets.token_hex(6)}: {secrets.token_urlsafe(36)}\n")
    key, _, secret = kept.strip().partition(": ")
    return key, secret


def find_livekit_server() -> Path:
    """The binary that `make setup` put beside our Python, else the one on PATH."""
    beside_python = Path(sys.executable).parent / "livekit-server"
    if beside_python.exists():
        return beside_python
    on_path = shutil.which("livekit-server")
    if on_path is None:
        raise ServiceNotStarted("livekit-server not found: run `make setup`, or put it on PATH")
    return Path(on_path)


class SfuServer:
    """One server that keeps its address over `stop`, `kill` and `start`.

    `overrides` go over our configuration, section by section: `{"room": {"departure_timeout": 3}}`.
    Servers with the same `redis` (host:port) are the nodes of one LiveKit; these share a `key_file`. LiveKit
    answers pages of any site (CORS): the secret in it, made for this machine, is what keeps them out.
    `webhook`: where it tells of its rooms.
    """

    def __init__(
        self,
        data_dir: Path,
        *,
        port: int | None = None,
        redis: str | None = None,
        key_file: Path | None = None,
        webhook: str | None = None,
        overrides: Mapping[str, Any] | None = None,
    ) -> None:
        self._webhook = webhook
        self._data_dir = data_dir
        self.key_file = key_file or data_dir / KEY_FILE
        self._redis = redis
        self._overrides = overrides or {}
        self.port = free_port(DEFAULT_PORT) if port is None else port
        self._media_port = free_port(kind=socket.SOCK_DGRAM)
        self._child: ChildProcess | None = None

    @property
    def url(self) -> str:
        return f"ws://{LOOPBACK}:{self.port}"

    @property
    def address(self) -> Sfu:
        if self._child is None:
            raise ServiceNotStarted("livekit-server is not running")
        return Sfu(self.url, *api_key(self.key_file), self._child.pid)

    def start(self) -> Sfu:
        self.spawn()
        return self.wait_until_ready()

    def spawn(self) -> None:
        """Start the process without waiting for it."""
        binary = find_livekit_server()
        if port_answers(self.port):
            raise ServiceNotStarted(f"port {self.port} is taken; livekit-server cannot listen there")
        private_folder(self._data_dir)
        api_key(self.key_file)
        config = self._data_dir / f"livekit-{self.port}.yaml"
        config.write_text(json.dumps(self._configuration(), indent=2))  # JSON is YAML
        log = self._data_dir / "livekit-server.log"
        self._child = ChildProcess("livekit-server", [binary, "--config", config], log)

    def wait_until_ready(self) -> Sfu:
        address = self.address
        assert self._child is not None
        self._child.wait_until(lambda: port_answers(self.port), timeout=START_TIMEOUT)
        return address

    def stop(self) -> None:
        """End it at once: asked politely it waits until every room is empty."""
        self.kill()

    def kill(self) -> None:
        if self._child is not None:
            self._child.kill()
            self._child = None

    def _configuration(self) -> dict[str, Any]:
        # No ICE over TCP: the server would accept it on every interface, whatever bind_addresses says.
        configuration: dict[str, Any] = {
            "port": self.port,
            "bind_addresses": [LOOPBACK],
            "rtc": {
                "node_ip": LOOPBACK,
                "use_external_ip": False,
                "enable_loopback_candidate": True,
                "ips": {"includes": [f"{LOOPBACK}/32"]},
                "udp_port": self._media_port,
                "tcp_port": 0,
            },
            "key_file": str(self.key_file.resolve()),
            "logging": {"level": "warn"},
        }
        if self._webhook:
            key, _ = api_key(self.key_file)
            configuration["webhook"] = {"api_key": key, "urls": [self._webhook]}
        if self._redis:
            configuration["redis"] = {"address": self._redis}
        for section, values in self._overrides.items():
            ours = configuration.get(section, {})
            configuration[section] = {**ours, **values} if isinstance(values, Mapping) else values
        return configuration


@contextmanager
def run_sfu(
    data_dir: Path,
    *,
    port: int | None = None,
    redis: str | None = None,
    key_file: Path | None = None,
    overrides: Mapping[str, Any] | None = None,
) -> Iterator[Sfu]:
    """A LiveKit server for the length of a `with`; port 7880 if it is free and none is asked for."""
    server = SfuServer(data_dir, port=port, redis=redis, key_file=key_file, overrides=overrides)
    try:
        yield server.start()
    finally:
        server.stop()
