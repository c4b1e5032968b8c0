"""Child processes that come up, say why when they do not, and never outlive us."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from agent.private import opened
from agent.session.errors import ServiceNotStarted

LOOPBACK = "127.0.0.1"
LEASH = Path(__file__).with_name("leash.py")
LOG_TAIL = 2000
POLL = 0.02


def free_port(preferred: int = 0, kind: socket.SocketKind = socket.SOCK_STREAM) -> int:
    """`preferred` if nobody listens there, else any free port of the loopback interface."""
    for port in (preferred, 0):
        with socket.socket(socket.AF_INET, kind) as probe:
            if kind is socket.SOCK_STREAM:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((LOOPBACK, port))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    raise ServiceNotStarted("no free port on the loopback interface")


def port_answers(port: int) -> bool:
    try:
        socket.create_connection((LOOPBACK, port), timeout=1).close()
    except OSError:
        return False
    return True


class ChildProcess:
    """One running child: its output in a log file, in a session of its own so that Ctrl-C reaches only us.

    `death_signal` is what Linux sends it when the thread that started it ends, however we die: start it from
    the main thread. On other systems it outlives a parent killed with -9.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str | Path],
        log: Path,
        *,
        environment: Mapping[str, str] | None = None,
        owner: tuple[int, int] | None = None,
        death_signal: signal.Signals = signal.SIGKILL,
        directory: Path | None = None,
    ) -> None:
        self.name = name
        self.log = log
        self._log_start = log.stat().st_size if log.exists() else 0
        leash = [sys.executable, "-I", "-S", str(LEASH), str(os.getpid()), str(int(death_signal))]
        user = f"{owner[0]}:{owner[1]}" if owner else "-"
        with opened(log, "ab") as output:
            self._process = subprocess.Popen(
                [*leash, user, *(str(part) for part in command)],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env={**os.environ, **(environment or {})},
                cwd=directory,
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def running(self) -> bool:
        return self._process.poll() is None

    def wait_until(self, ready: Callable[[], bool], *, timeout: float) -> None:
        """Return once `ready`; `ServiceNotStarted` with the log's end when the child dies or is late."""
        deadline = time.monotonic() + timeout
        while not ready():
            if not self.running:
                code = self._process.returncode
                raise ServiceNotStarted(f"{self.name} stopped with exit code {code}:\n{self.log_tail()}")
            if time.monotonic() > deadline:
                self.kill()
                raise ServiceNotStarted(f"{self.name} not ready after {timeout:g} s:\n{self.log_tail()}")
            time.sleep(POLL)

    def log_tail(self) -> str:
        """The last of what this child wrote, for the message of an error."""
        with self.log.open("rb") as file:
            file.seek(max(self._log_start, self.log.stat().st_size - LOG_TAIL))
            text = file.read().decode(errors="replace").strip()
        return f"{text}\n(log: {self.log})"

    def send(self, number: signal.Signals) -> None:
        """Send a signal and wait for nothing."""
        self._process.send_signal(number)

    def stop(self, *, sign: signal.Signals = signal.SIGTERM, timeout: float = 5.0) -> None:
        """Ask it to end with `sign`; kill it when it has not after `timeout` seconds."""
        if self.running:
            self._process.send_signal(sign)
        try:
            self._process.wait(timeout)
        except subprocess.TimeoutExpired:
            self.kill()

    def kill(self) -> None:
        if self.running:
            self._process.kill()
        self._process.wait()
