"""Speech that waits for its words, on disk: what was said is not lost with a process, or with Whisper away.

What someone is saying is appended to a file as it is heard; when they pause it becomes an utterance's file
(FLAC, fsynced), which goes once its words are recorded. Files belong to the recorder that holds the lock
file beside them, as with the spool: when the lock can be had, that recorder is dead, and whoever has it
transcribes what is there. Only the owner of the folder can read them.
"""

import fcntl
import io
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import av
import numpy as np

from agent.session.events import iso
from agent.session.rooms import SessionInfo
from agent.spool import header_of, info_of
from agent.utterances import RATE, Samples

UTTERANCE, SPEAKING, LOCK = ".utterance", ".speaking", ".hearing"
_NEWLINE = b"\n"


@dataclass(frozen=True, slots=True)
class Kept:
    """An utterance on disk."""

    path: Path
    info: SessionInfo
    identity: str
    begin: datetime
    end: datetime
    samples: Samples


class KeptAudio:
    """One recorder's files. Raises OSError where the disk does not take them."""

    def __init__(self, folder: Path, info: SessionInfo, owner: str) -> None:
        self._folder = folder
        self._header = header_of(info, owner)
        self._name = f"{info.session_id}.{owner}"
        self._lock: int | None = None
        self._speaking: dict[str, int] = {}  # file descriptors by track sid
        self._count = 0

    def begin(self, track_sid: str, identity: str, begin: datetime, samples: Samples) -> None:
        """Someone began to speak, with these samples."""
        self.drop(track_sid)
        path = self._speaking_path(track_sid)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        self._speaking[track_sid] = descriptor
        header = {**self._header, "identity": identity, "begin": iso(begin)}
        os.write(descriptor, json.dumps(header).encode() + _NEWLINE + samples.tobytes())

    def go_on(self, track_sid: str, samples: Samples) -> None:
        """And went on."""
        if (descriptor := self._speaking.get(track_sid)) is not None:
            os.write(descriptor, samples.tobytes())

    def drop(self, track_sid: str) -> None:
        """What they were saying is an utterance's file now."""
        if (descriptor := self._speaking.pop(track_sid, None)) is not None:
            os.close(descriptor)
            self._speaking_path(track_sid).unlink(missing_ok=True)

    def keep(self, identity: str, begin: datetime, end: datetime, samples: Samples) -> Path:
        """Write an utterance through to the disk."""
        self._count += 1
        path = self._held() / f"{self._name}.{self._count}{UTTERANCE}"
        header = {**self._header, "identity": identity, "begin": iso(begin), "end": iso(end)}
        unfinished = path.with_suffix(".new")
        descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(json.dumps(header).encode() + _NEWLINE + _flac(samples))
            file.flush()
            os.fsync(descriptor)
        unfinished.rename(path)
        return path

    def close(self) -> None:
        """Leave what is still there to whoever transcribes it later."""
        for descriptor in self._speaking.values():
            os.close(descriptor)
        self._speaking.clear()
        if self._lock is not None:
            self._lock_path().unlink(missing_ok=True)
            os.close(self._lock)
            self._lock = None

    def _held(self) -> Path:
        """The folder, after making sure that our files are known to be ours."""
        if self._lock is None:
            self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._lock = os.open(self._lock_path(), os.O_WRONLY | os.O_CREAT, 0o600)
            fcntl.flock(self._lock, fcntl.LOCK_EX)
        return self._folder

    def _lock_path(self) -> Path:
        return self._folder / f"{self._name}{LOCK}"

    def _speaking_path(self, track_sid: str) -> Path:
        return self._held() / f"{self._name}.{track_sid}{SPEAKING}"


@contextmanager
def abandoned_audio(folder: Path) -> Iterator[list[Path]]:
    """The utterances that no living recorder holds, oldest first; nobody else gets them in the context."""
    locks: list[tuple[Path, int]] = []
    dead: set[str] = set()
    try:
        for name in sorted({_owner(path) for path in _audio(folder)}):
            path = folder / f"{name}{LOCK}"
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT, 0o600)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                os.close(descriptor)
                continue
            locks.append((path, descriptor))
            dead.add(name)
        found = [path for path in _audio(folder) if _owner(path) in dead]
        yield sorted(found, key=lambda path: path.stat().st_mtime)
    finally:
        for path, descriptor in locks:
            path.unlink(missing_ok=True)
            os.close(descriptor)


def read_audio(path: Path) -> Kept:
    """An utterance's file, or what there is of one that was being spoken. Raises ValueError for others."""
    first, _, rest = path.read_bytes().partition(_NEWLINE)
    header: dict[str, Any] = json.loads(first)
    begin = datetime.fromisoformat(header["begin"])
    if path.suffix == UTTERANCE:
        samples, end = _decoded(rest), datetime.fromisoformat(header["end"])
    else:
        samples = np.frombuffer(rest[: len(rest) // 2 * 2], np.int16)
        end = begin + timedelta(seconds=len(samples) / RATE)
    return Kept(path, info_of(header), header["identity"], begin, end, samples)


def _audio(folder: Path) -> list[Path]:
    return [path for path in folder.glob("*") if path.suffix in (UTTERANCE, SPEAKING)]


def _owner(path: Path) -> str:
    """session.owner of session.owner.number.suffix; an owner's name may have dots."""
    return path.name.rsplit(".", 2)[0]


def _flac(samples: Samples) -> bytes:
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="flac") as container:
        stream = container.add_stream("flac", rate=RATE, layout="mono")
        frame = av.AudioFrame.from_ndarray(samples[None, :], format="s16", layout="mono")
        frame.sample_rate = RATE
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return buffer.getvalue()


def _decoded(flac: bytes) -> Samples:
    try:
        with av.open(io.BytesIO(flac), "r") as container:
            blocks = [frame.to_ndarray().reshape(-1) for frame in container.decode(audio=0)]
    except av.error.FFmpegError:
        raise ValueError("not an utterance") from None
    return np.concatenate(blocks).astype(np.int16)
