"""Utterances on their way to words: kept on disk, recognised, recorded, forgotten.

Each is recognised on its own, side by side with others. What cannot be recognised becomes a noted gap; its
file stays for the worker, unless the service has refused it. An agent's may wait for the words that its
program sends.
"""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import structlog

from agent.audio_files import read_audio, without_words
from agent.kept_audio import KeptAudio
from agent.recognition import Recogniser
from agent.recorder import Recorder
from agent.session.coverage import TRANSCRIPTION_UNAVAILABLE
from agent.session.doubles import without_doubles
from agent.session.errors import TranscriptionUnavailable
from agent.session.reasons import OWN_WORDS_MISSING
from agent.spoken import Spoken, heard_in
from agent.tasks import Tasks
from agent.utterances import Samples

log = structlog.stdlib.get_logger()

FORGET_SECONDS = 1.0  # after the recorder has closed, when everything is written that will be


class _AudioGone(TranscriptionUnavailable):
    """Nobody has the sound any more."""


class Recognising:
    """One room's utterances, and those that a dead recorder of the same session left on this machine."""

    def __init__(
        self, recorder: Recorder, recogniser: Recogniser, kept: KeptAudio, *, concurrency: int
    ) -> None:
        self._recorder = recorder
        self._recogniser = recogniser
        self._kept = kept
        self._slots = asyncio.Semaphore(concurrency)
        self._under_way = Tasks()
        self._forgetting = Tasks()
        self._closing = False
        recorder.when_claimed(lambda _predecessor_until: self._adopt_soon())

    def start(
        self,
        spoken: Spoken,
        samples: Samples,
        path: Path | None,
        own_words: Callable[[], Awaitable[bool]] | None = None,
    ) -> None:
        """Recognise this; `path`: where it was written while it was being spoken.

        `own_words` waits for others' words of it, and tells whether they came: then it needs no more.
        """
        self._under_way.start(self._recognise(spoken, samples, path, own_words))

    async def those_of_now(self, within: float) -> None:
        """Wait, so many seconds at most, until everything up to now is recognised or given up."""
        await self._under_way.those_of_now(within)

    async def finish(self, grace: float) -> None:
        """Wait up to `grace` seconds for the last words."""
        self._closing = True
        await self._under_way.close(grace)

    async def close(self) -> None:
        """The recorder has closed: delete what has its words, leave the rest to the worker."""
        await self._forgetting.close(FORGET_SECONDS)
        self._kept.close()

    async def _recognise(
        self,
        spoken: Spoken,
        samples: Samples | None,
        path: Path | None,
        own_words: Callable[[], Awaitable[bool]] | None = None,
    ) -> None:
        adopted = samples is None
        try:
            if samples is not None:
                path, samples = await self._keep(spoken, samples, path)
            if own_words is not None and await own_words():
                self._recorder.record(spoken.told())
                self._forget(path)
                return
            async with self._slots:
                words = await self._recogniser.words(await self._read(path) if samples is None else samples)
        except _AudioGone:
            reason = OWN_WORDS_MISSING if own_words is not None else TRANSCRIPTION_UNAVAILABLE
            self._recorder.record(spoken.unheard(reason))
        except TranscriptionUnavailable as error:
            self._recorder.record(spoken.unheard())
            if error.refused:
                self._forget(path)
        except BaseException:  # cancelled, or nobody expected it: what stays on disk is the worker's
            self._recorder.record(spoken.unheard())
            raise
        else:
            seconds = (spoken.end - spoken.begin).total_seconds()
            log.info("utterance_recognised", identity=spoken.identity, seconds=seconds)
            said = [spoken.heard(words)]
            # What several recorders kept or heard of one sentence, each to its own end, is told once; what
            # we alone hear at once of somebody's two microphones, twice.
            since = self._recorder.taken_over_at
            shared = adopted or (since is not None and spoken.begin < since)
            known = self._recorder.session.utterances if shared else ()
            for event in without_doubles(said, known):
                self._recorder.record(event)
            self._forget(path)

    async def _keep(
        self, spoken: Spoken, samples: Samples, path: Path | None
    ) -> tuple[Path | None, Samples | None]:
        """On disk it need not wait in memory: that stays bounded however long Whisper is away."""
        kept = await asyncio.to_thread(self._kept.keep, spoken, samples)
        if kept is None:
            return path, samples
        if path is not None:
            self._kept.drop(path)
        return kept, None

    async def _read(self, path: Path | None) -> Samples:
        assert path is not None, "neither in memory nor on disk"
        try:
            return (await asyncio.to_thread(read_audio, path)).samples
        except (OSError, ValueError) as error:
            log.error("audio_not_read", error=type(error).__name__)
            raise _AudioGone("not on disk any more") from None

    def _forget(self, path: Path | None) -> None:
        if path is not None:
            self._forgetting.start(self._forget_when_secured(path))

    async def _forget_when_secured(self, path: Path) -> None:
        await self._recorder.secured()
        self._kept.drop(path)

    def _adopt_soon(self) -> None:
        if not self._closing:
            self._under_way.start(self._adopt())

    def _left_by_others(self, have: list[Spoken]) -> list[tuple[Path, Spoken]]:
        return [(path, kept.spoken) for path, kept in without_words(self._kept.adopt(), have)]

    async def _adopt(self) -> None:
        """Recognise what a recorder before us left, as if we had heard it."""
        have = heard_in(self._recorder.session.utterances)
        left = await asyncio.to_thread(self._left_by_others, have)
        for path, spoken in left:
            self._under_way.start(self._recognise(spoken, None, path))
        if left:
            log.info("audio_adopted", utterances=len(left))
