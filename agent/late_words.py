"""Speech whose recorder is gone gets its words from the worker, however late Whisper is back."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from time import time
from uuid import UUID, uuid4

import structlog

from agent.audio_files import (
    REJECTED,
    SPEAKING,
    UTTERANCE,
    abandoned_audio,
    audio_folder,
    reject,
    without_words,
)
from agent.recognition import Recogniser
from agent.session.errors import TranscriptionUnavailable, what_failed
from agent.session.events import Event, UtteranceHeard
from agent.session.rooms import SessionInfo
from agent.settings import Settings
from agent.spoken import Spoken, heard_in
from agent.spool import Spool, written_at
from db import fleet, sessions
from db.pool import Pool, is_transient

log = structlog.stdlib.get_logger()

INTERVAL_SECONDS = 3.0
AWAY_SECONDS = 15.0  # between attempts while Whisper is away
PATIENCE_SECONDS = 30.0  # so long a successor of the recorder comes first
KEPT_SECONDS = 86_400.0  # then nobody's speech is on disk any more
PERSISTENCE_SECONDS = 2.0  # the next round is the next attempt


async def keep_transcribing_late(settings: Settings, pool: Pool, worker: str) -> None:
    """Transcribe what no living recorder holds, now and every few seconds; until cancelled."""
    recogniser = Recogniser(settings, persistence=PERSISTENCE_SECONDS)
    late = LateWords(settings.recorder_spool_dir, pool, worker, recogniser)
    try:
        while True:
            pause = INTERVAL_SECONDS
            try:
                if not await late.round():
                    pause = AWAY_SECONDS
            except Exception as error:
                if not is_transient(error):
                    log.warning("late_words_failed", **what_failed(error))
            await asyncio.sleep(pause)
    finally:
        await recogniser.aclose()


class LateWords:
    """The words go to the spool, and with it into the session's record."""

    def __init__(self, spool_dir: Path, pool: Pool, worker: str, recogniser: Recogniser) -> None:
        self._recogniser = recogniser
        self._spool_dir = spool_dir
        self._folder = audio_folder(spool_dir)
        self._pool = pool
        self._worker = worker

    async def round(self) -> bool:
        """Every session whose turn it is; False when Whisper is away."""
        for path in self._folder.glob(f"*{REJECTED}"):
            if _age(path) > KEPT_SECONDS:
                path.unlink(missing_ok=True)
        whisper_there = True
        waiting = {_session(path) for path in _audio(self._folder) if _age(path) > PATIENCE_SECONDS}
        for session_id in sorted(found for found in waiting if found is not None):
            have = await self._have(session_id)
            if have is not None:
                with abandoned_audio(self._folder, session_id) as paths:
                    old = [path for path in paths if _age(path) > KEPT_SECONDS]
                    self._give_up(old, have)
                    if whisper_there:
                        whisper_there = await self._transcribe([p for p in paths if p not in old], have)
        return whisper_there

    async def _have(self, session_id: UUID) -> list[Spoken] | None:
        """The speech that has its words; None while a recorder or a spool file may still add to it."""
        if any(self._spool_dir.glob(f"{session_id}.*.jsonl")):
            return None
        if await fleet.held_lately(self._pool, session_id, PATIENCE_SECONDS):
            return None
        history = await sessions.load_history(self._pool, session_id)
        events = [*history.journaled, *history.restored]
        return heard_in(event for event in events if isinstance(event, UtteranceHeard))

    async def _transcribe(self, paths: list[Path], have: list[Spoken]) -> bool:
        """One session's utterances; False when Whisper is away."""
        for path, kept in without_words(paths, have):
            try:
                words = await self._recogniser.words(kept.samples)
            except TranscriptionUnavailable as error:
                if not error.refused:
                    return False
                self._spool(kept.info, kept.spoken.unheard())
                reject(path, "refused")
            else:
                self._spool(kept.info, kept.spoken.heard(words))
                path.unlink(missing_ok=True)
                session_id = str(kept.info.session_id)
                log.info("transcribed_late", session_id=session_id, identity=kept.spoken.identity)
        return True

    def _give_up(self, paths: list[Path], have: list[Spoken]) -> None:
        for path, kept in without_words(paths, have):
            self._spool(kept.info, kept.spoken.unheard())
            path.unlink(missing_ok=True)
            log.error("audio_given_up", session_id=str(kept.info.session_id), identity=kept.spoken.identity)

    def _spool(self, info: SessionInfo, event: Event) -> None:
        """One file each: it is in the record within seconds, and nothing is locked for long."""
        spool = Spool(self._spool_dir, info, f"{self._worker}+late-{uuid4().hex[:8]}")
        spool.append([event])
        spool.close()


def _audio(folder: Path) -> Iterator[Path]:
    return (path for path in folder.glob("*") if path.suffix in (UTTERANCE, SPEAKING))


def _session(path: Path) -> UUID | None:
    """None of a file that is none of ours: it must not keep the others from their words."""
    try:
        return UUID(path.name.partition(".")[0])
    except ValueError:
        return None


def _age(path: Path) -> float:
    """Seconds since it was written; never long ago, where it is gone meanwhile."""
    return time() - written_at(path)
