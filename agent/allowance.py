"""How much may wait in a folder: what a service that is away for days must not do is fill the disk."""

import errno
import os
from pathlib import Path
from time import monotonic

MEASURE_SECONDS = 5.0  # between looks at how much a folder holds


class Allowance:
    """Bytes that the files of a folder may hold together, whoever wrote them."""

    def __init__(self, folder: Path, limit: int, setting: str) -> None:
        self._folder = folder
        self._limit = limit
        self._setting = setting
        self._holds, self._measured_at = 0, -MEASURE_SECONDS

    def require(self) -> None:
        """Raises OSError (EDQUOT), naming the setting, when the folder is full."""
        if monotonic() - self._measured_at >= MEASURE_SECONDS:
            self._measured_at = monotonic()
            self._holds = _size_of(self._folder)
        if self._holds >= self._limit:
            raise OSError(errno.EDQUOT, self._setting)


def _size_of(folder: Path) -> int:
    try:
        with os.scandir(folder) as files:
            return sum(_size(file) for file in files)
    except FileNotFoundError:
        return 0


def _size(file: os.DirEntry[str]) -> int:
    try:
        return file.stat().st_size if file.is_file() else 0
    except FileNotFoundError:
        return 0  # gone since we looked
