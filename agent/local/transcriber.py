"""faster-whisper behind a queue: one utterance at a time, in the order in which they came."""

import asyncio
import os
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, BinaryIO

import av
import numpy as np
from faster_whisper import WhisperModel
from faster_whisper.audio import decode_audio
from faster_whisper.transcribe import Segment

SAMPLE_RATE = 16000
MOST_THREADS = 4  # more do not make Whisper faster on a CPU
BEAM_SIZE = 5
# What the model cannot make sense of it tries again, more freely each time, and may ramble on. With
# faster-whisper's own limits (six tries, five at once, 448 tokens) 5 s of it hold up all rooms for a minute.
TEMPERATURES = (0.0, 0.4, 0.8)
TRIES_AT_ONCE = 2
MOST_TOKENS = 216  # of 30 s; together with the longest prompt, all that the model has room for
TOKENS_PER_SECOND = 25  # far more than anyone says, also where a letter takes several


class NotAudio(Exception):
    """The file has no sound that can be decoded."""


class ClientGone(Exception):
    """Nobody waits for this transcription any more."""


@dataclass(frozen=True)
class Wanted:
    """What a request asks beside the sound; `language` None = detect, `temperature` 0 = automatic."""

    language: str | None = None
    prompt: str | None = None
    temperature: float = 0.0
    words: bool = False


@dataclass(frozen=True)
class Heard:
    """What was said, `duration` in seconds."""

    language: str
    duration: float
    segments: tuple[Segment, ...]

    @property
    def text(self) -> str:
        return "".join(segment.text for segment in self.segments).strip()


class Transcriber:
    """One model, loaded once. A second transcription beside the first would only make both slow."""

    def __init__(self, model: str) -> None:
        threads = min(MOST_THREADS, os.cpu_count() or 1)
        self._model = WhisperModel(model, device="cpu", compute_type="int8", cpu_threads=threads)
        self._model.encode = _encoding_once(self._model.encode)
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="whisper")
        self._turn = asyncio.Lock()  # hands over in the order of arrival

    @property
    def languages(self) -> frozenset[str]:
        return frozenset(self._model.supported_languages)

    async def transcribe(self, file: BinaryIO, wanted: Wanted, gone: Callable[[], Awaitable[bool]]) -> Heard:
        """Wait for our turn and transcribe; raises `ClientGone` when nobody waits by then, and `NotAudio`."""
        async with self._turn:
            if await gone():
                raise ClientGone
            return await asyncio.get_running_loop().run_in_executor(self._thread, self._run, file, wanted)

    def _run(self, file: BinaryIO, wanted: Wanted) -> Heard:
        try:
            audio = decode_audio(file, sampling_rate=SAMPLE_RATE)
        except (av.error.FFmpegError, IndexError, ValueError, TypeError) as error:
            raise NotAudio from error
        if not audio.size:
            raise NotAudio
        segments, info = self._model.transcribe(
            audio,
            language=wanted.language or self._detect_language(audio),
            initial_prompt=wanted.prompt,
            word_timestamps=wanted.words,
            beam_size=BEAM_SIZE,
            condition_on_previous_text=False,  # one invented sentence would breed the next
            temperature=wanted.temperature or TEMPERATURES,
            best_of=TRIES_AT_ONCE,
            max_new_tokens=min(MOST_TOKENS, 25 + int(TOKENS_PER_SECOND * len(audio) / SAMPLE_RATE)),
        )
        return Heard(info.language, info.duration, tuple(segments))

    def _detect_language(self, audio: Any) -> str | None:
        """The first window's language; encoded as it will be for the words, i.e. without the last frame."""
        if not self._model.model.is_multilingual:
            return None
        features = self._model.feature_extractor(audio)[..., :-1]
        language, _, _ = self._model.detect_language(features=features)
        return str(language)


def _encoding_once(encode: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Encode a window once where faster-whisper does it twice: to detect its language and to transcribe it.

    For a short utterance that is nearly half of the time.
    """
    last: tuple[Any, Any] | None = None

    def encode_once(features: Any) -> Any:
        nonlocal last
        if last is None or not np.array_equal(last[0], features):
            last = features, encode(features)
        return last[1]

    return encode_once
