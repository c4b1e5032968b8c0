"""Folders and files that nobody else on the machine can read: they hold speech, words and secrets."""

import os
import stat
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import IO, Any
from uuid import uuid4

_OTHERS = stat.S_IRWXG | stat.S_IRWXO


def private_folder(path: Path) -> Path:
    """A folder that is there, with those above it that were not. Raises OSError when it cannot be made."""
    if not path.is_dir():
        private_folder(path.parent)
        path.mkdir(mode=stat.S_IRWXU, exist_ok=True)
    return path


def close_to_others(*paths: Path) -> None:
    """Take from everybody else what was made before us, as far as it is ours to take.

    A folder that is shared on purpose (sticky, as /tmp) stays so.
    """
    for path in paths:
        with suppress(OSError):  # gone meanwhile, or somebody else's
            mode = path.stat(follow_symlinks=False).st_mode
            if mode & _OTHERS and not stat.S_ISLNK(mode) and not mode & stat.S_ISVTX:
                path.chmod(stat.S_IMODE(mode) & ~_OTHERS)


def kept_text(path: Path, make: Callable[[], str]) -> str:
    """The same text from one start to the next; `make` makes it the first time."""
    if not path.exists():
        private_folder(path.parent)
        fresh = path.with_name(f"{path.name}.{uuid4().hex}")
        with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(make())
        with suppress(FileExistsError):  # another process was faster
            path.hardlink_to(fresh)
        fresh.unlink()
    close_to_others(path)
    return path.read_text()


def opened(path: Path, mode: str) -> IO[Any]:
    """The file, made if need be. What programs log may tell of rooms and people."""
    close_to_others(path)
    return open(path, mode, opener=lambda name, flags: os.open(name, flags, 0o600))
