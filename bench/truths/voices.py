"""Voices that say any words: synthesised here, from PyPI packages that bring all they need along."""

import ctypes
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import espeakng_loader
import numpy as np
from hibari import Hibari
from hibari.g2p import G2P

from agent.demo.speech import Samples, Speech

HIBARI_RATE = 24_000  # Hz
# espeak-ng's own numbers, from its speak_lib.h
_RETRIEVAL, _UTF8, _DONT_EXIT, _PARAMETER_RATE = 2, 1, 0x8000, 1


@dataclass(frozen=True)
class Voice:
    """`pace`: 1 is unhurried. `depth`: under 1 is a bigger body, pitch and formants both lower."""

    name: str
    pace: float = 1.0
    depth: float = 1.0
    british: bool = False

    def say(self, words: str) -> Speech:
        tts = _hibari(british=self.british)
        sound = tts(words, speed=self.pace / self.depth, seed=0)
        samples = np.clip(np.rint(sound * 32_767), -32_768, 32_767).astype(np.int16)
        return Speech.of(samples, round(HIBARI_RATE * self.depth), words)


def say_in(language: str, words: str, pace: int = 160) -> Speech:
    """A plainer voice, in any of espeak-ng's languages and accents; `pace` in words a minute."""
    espeak = _espeak()
    library = espeak.library
    espeak.spoken.clear()
    if library.espeak_SetVoiceByName(language.encode()):
        raise ValueError(f"espeak-ng has no voice {language}")
    library.espeak_SetParameter(_PARAMETER_RATE, pace, 0)
    text = words.encode() + b"\0"
    library.espeak_Synth(text, ctypes.c_size_t(len(text)), 0, 0, 0, _UTF8, None, None)
    library.espeak_Synchronize()
    return Speech.of(np.concatenate(espeak.spoken), espeak.rate, words)


@dataclass(frozen=True)
class _Espeak:
    """The library, its rate in Hz, and what it has said. C calls `taking`, which must live as long."""

    library: ctypes.CDLL
    rate: int
    spoken: list[Samples]
    taking: Any


@cache
def _hibari(*, british: bool) -> Callable[..., Any]:
    tts: Callable[..., Any] = Hibari(g2p=G2P(british=british))
    return tts


@cache
def _espeak() -> "_Espeak":
    library = ctypes.CDLL(espeakng_loader.get_library_path())
    rate = library.espeak_Initialize(_RETRIEVAL, 0, espeakng_loader.get_data_path().encode(), _DONT_EXIT)
    spoken: list[Samples] = []

    def take(samples: Any, count: int, _events: Any) -> int:
        if samples and count > 0:
            spoken.append(np.ctypeslib.as_array(samples, (count,)).copy())
        return 0

    callback = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.c_void_p)
    taking = callback(take)
    library.espeak_SetSynthCallback(taking)
    return _Espeak(library, rate, spoken, taking)
