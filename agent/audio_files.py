"""Speech on disk: how the files look, whose they are, and which of them nobody holds any more.

An utterance is FLAC after a line of JSON; what is still being spoken is raw samples after such a line. Files
belong to the recorder that holds the lock file beside them, as with the spool: when the lock can be had,
that recorder is dead, and whoever has it transcribes what is there. Only the owner of the folder can read it.
"""

import fcntl
import io
import json
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import av
import numpy as np
import structlog

from agent.session.events import iso
from agent.session.rooms import SessionInfo
from agent.spoken import Spoken
from agent.spool import info_of, written_at
from agent.utterances import RATE, Samples

log = structlog.stdlib.get_logger()

UTTERANCE, SPEAKING, LOCK = ".utterance", ".speaking", ".hearing"
UNFINISHED, REJECTED = ".new", ".rejected"
_NEWLINE = b"\n"


@dataclass(frozen=True, slots=True)
class Kept:
    """An utterance on disk."""

    info: SessionInfo
    spoken: Spoken
    samples: Samples


def audio_folder(spool_dir: Path) -> Path:
    """Where speech waits for its words."""
    return spool_dir / "audio"


def head_of(header: dict[str, Any], spoken: Spoken) -> bytes:
    """The first line of a file."""
    values = {
        **header,
        "identity": spoken.identity,
        "begin": iso(spoken.begin),
        "end": iso(spoken.end),
        "track": spoken.track,
    }
    return json.dumps(values).encode() + _NEWLINE


def read_audio(path: Path) -> Kept:
    """An utterance's file, or what there is of one that was being spoken. Raises ValueError for others."""
    first, _, rest = path.read_bytes().partition(_NEWLINE)
    try:
        header: dict[str, Any] = json.loads(first)
        info, identity, track = info_of(header), header["identity"], header["track"]
        begin, end = (datetime.fromisoformat(header[name]) for name in ("begin", "end"))
    except (AttributeError, KeyError, TypeError, ValueError):
        raise ValueError("not an utterance") from None
    if path.suffix == UTTERANCE:
        return Kept(info, Spoken(identity, begin, end, track), _decoded(rest))
    samples = np.frombuffer(rest[: len(rest) // 2 * 2], np.int16)
    end = begin + timedelta(milliseconds=len(samples) * 1000 // RATE)
    return Kept(info, Spoken(identity, begin, end, track), samples)


@contextmanager
def abandoned_audio(folder: Path, session_id: UUID) -> Iterator[list[Path]]:
    """A session's utterances that no living recorder holds: whole ones first, then what was being spoken.

    Nobody else gets them while the context lasts.
    """
    locks: dict[str, int] = {}
    try:
        for name in sorted({owner_of(path) for path in folder.glob(f"{session_id}.*")}):
            if (descriptor := lock(folder / f"{name}{LOCK}", wait=False)) is not None:
                locks[name] = descriptor
        mine = [path for path in folder.glob(f"{session_id}.*") if owner_of(path) in locks]
        for path in mine:
            if path.suffix == UNFINISHED:  # what was being spoken is there as well
                path.unlink(missing_ok=True)
        audio = [path for path in mine if path.suffix in (UTTERANCE, SPEAKING)]
        yield sorted(audio, key=lambda path: (path.suffix == SPEAKING, written_at(path)))
    finally:
        for name, descriptor in locks.items():
            (folder / f"{name}{LOCK}").unlink(missing_ok=True)
            os.close(descriptor)


def without_words(paths: Iterable[Path], have: Iterable[Spoken]) -> Iterator[tuple[Path, Kept]]:
    """Those that are not among what we have; the others go, as do those that are there twice."""
    known = list(have)
    for path in paths:
        try:
            kept = read_audio(path)
        except FileNotFoundError:
            continue  # gone meanwhile
        except ValueError:
            reject(path, "unreadable")
            continue
        if any(kept.spoken.same_as(other) for other in known):
            path.unlink(missing_ok=True)
        else:
            known.append(kept.spoken)
            yield path, kept


def reject(path: Path, reason: str) -> None:
    """Out of the way: nothing can be made of it."""
    log.error("audio_rejected", file=path.name, reason=reason)
    with suppress(FileNotFoundError):
        path.rename(path.with_suffix(REJECTED))


def lock(path: Path, *, wait: bool) -> int | None:
    """A lock file's descriptor; None when somebody else has it and we do not wait."""
    while True:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            os.close(descriptor)
            return None
        if os.fstat(descriptor).st_nlink:
            return descriptor
        os.close(descriptor)  # whoever had it has removed it meanwhile: it locks nothing


def owner_of(path: Path) -> str:
    """session.owner of session.owner.number.suffix, or of its lock; an owner's name may have dots."""
    return path.stem if path.suffix == LOCK else path.name.rsplit(".", 2)[0]


def flac(samples: Samples) -> bytes:
    """Half the size, and every sample as it was."""
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="flac") as container:
        stream = container.add_stream("flac", rate=RATE, layout="mono")
        frame = av.AudioFrame.from_ndarray(samples[None, :], format="s16", layout="mono")
        frame.sample_rate = RATE
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return buffer.getvalue()


def _decoded(content: bytes) -> Samples:
    try:
        with av.open(io.BytesIO(content), "r") as container:
            blocks = [frame.to_ndarray().reshape(-1) for frame in container.decode(audio=0)]
    except (av.error.FFmpegError, EOFError, IndexError):
        raise ValueError("not an utterance") from None
    return np.concatenate(blocks).astype(np.int16)
