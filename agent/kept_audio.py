"""Speech that waits for its words, on disk: what was said is not lost with a process, or with Whisper away.

What someone is saying is appended to a file as it is heard; when they pause it becomes an utterance's file
(fsynced), which goes once its words are secured. `agent.audio_files` says how the files look.
"""

import errno
import os
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from threading import Lock

import structlog

from agent.allowance import Allowance
from agent.audio_files import LOCK, SPEAKING, UNFINISHED, UTTERANCE, abandoned_audio, flac, head_of, lock
from agent.private import private_folder
from agent.session.rooms import SessionInfo
from agent.spoken import Spoken
from agent.spool import header_of
from agent.utterances import Samples

log = structlog.stdlib.get_logger()


@dataclass(slots=True)
class _Growing:
    """A file of someone who is speaking."""

    descriptor: int
    head: int  # bytes before the samples
    samples: int = 0

    def add(self, samples: Samples) -> None:
        _write(self.descriptor, samples.tobytes())
        self.samples += len(samples)


class _OrWithout:
    """Without the disk everything works as before, from memory; one log line says that it does not work."""

    def __init__(self) -> None:
        self._complained = False

    def __enter__(self) -> None: ...

    def __exit__(self, _kind: object, error: BaseException | None, _where: object) -> bool:
        if isinstance(error, OSError) and not self._complained:
            self._complained = True
            reason = errno.errorcode.get(error.errno or 0, "")
            log.error("audio_not_kept", error=type(error).__name__, errno=error.errno, reason=reason)
        return isinstance(error, OSError)


class KeptAudio:
    """One recorder's files. A disk that does not take them is logged once; all else goes on from memory."""

    def __init__(self, folder: Path, info: SessionInfo, owner: str, *, limit: int) -> None:
        self._folder = folder
        self._session_id = info.session_id
        self._header = header_of(info, owner)
        self._name = f"{info.session_id}.{owner}"
        self._limit = limit  # bytes in the folder, everyone's together
        self._allowance = Allowance(folder, limit, "RECORDER_AUDIO_MB")
        self._numbers = count(1)
        self._lock: int | None = None
        self._locking = Lock()  # utterances are written in threads
        self._growing: dict[Path, _Growing] = {}
        self._adopted = ExitStack()
        self._or_without = _OrWithout()

    def begin(self, spoken: Spoken, samples: Samples) -> Path | None:
        """Someone began to speak, with these samples; the file, if there is one."""
        if not self._limit:
            return None
        with self._or_without:
            path = self._new_path(SPEAKING)
            head = head_of(self._header, spoken)
            growing = _Growing(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), len(head))
            self._growing[path] = growing
            _write(growing.descriptor, head)
            growing.add(samples)
            return path
        return None

    def go_on(self, path: Path, samples: Samples) -> None:
        """And went on."""
        if (growing := self._growing.get(path)) is not None:
            with self._or_without:
                growing.add(samples)
                return
            self._end(path)  # what could be written stays: better than nothing

    def settle(self, path: Path, samples: Samples) -> None:
        """They paused: this is the whole of it. What was heard after a cut is in another file."""
        if (growing := self._growing.get(path)) is not None:
            with self._or_without:
                growing.add(samples[growing.samples :])
                os.ftruncate(growing.descriptor, growing.head + samples.nbytes)
            self._end(path)

    def drop(self, path: Path) -> None:
        """It is not needed any more."""
        self._end(path)
        with self._or_without:
            path.unlink(missing_ok=True)

    def keep(self, spoken: Spoken, samples: Samples) -> Path | None:
        """Write an utterance through to the disk; its file, if there is one."""
        if not self._limit:
            return None
        with self._or_without:
            path = self._new_path(UTTERANCE)
            unfinished = path.with_suffix(UNFINISHED)
            descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            try:
                _write(descriptor, head_of(self._header, spoken) + flac(samples))
                os.fsync(descriptor)
                unfinished.rename(path)
            finally:
                os.close(descriptor)
                unfinished.unlink(missing_ok=True)
            return path
        return None

    def adopt(self) -> list[Path]:
        """What dead recorders of our session left here is ours until we close."""
        with self._or_without:
            return self._adopted.enter_context(abandoned_audio(self._folder, self._session_id))
        return []

    def close(self) -> None:
        """Leave what is still there to whoever transcribes it later."""
        for path in list(self._growing):
            self._end(path)
        self._adopted.close()
        if self._lock is not None:
            (self._folder / f"{self._name}{LOCK}").unlink(missing_ok=True)
            os.close(self._lock)
            self._lock = None

    def _end(self, path: Path) -> None:
        if (growing := self._growing.pop(path, None)) is not None:
            os.close(growing.descriptor)

    def _new_path(self, suffix: str) -> Path:
        """A name of ours that is new. Raises OSError where the folder is full or cannot be had."""
        with self._locking:
            if self._lock is None:
                private_folder(self._folder)
                self._lock = lock(self._folder / f"{self._name}{LOCK}", wait=True)
            self._allowance.require()
        return self._folder / f"{self._name}.{next(self._numbers)}{suffix}"


def _write(descriptor: int, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(descriptor, rest) :]
