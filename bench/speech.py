"""Human sentences with known words, and how far a transcript is from them."""

import warnings
from collections.abc import Callable, Iterable
from datetime import timedelta
from functools import cache
from pathlib import Path

import jiwer
import numpy as np
from numpy.typing import NDArray

from agent.demo.microphone import Spoken
from agent.demo.script import Line
from agent.demo.speech import Speech

FOLDER = Path(__file__).parents[1] / "tests" / "speech"
WORDS = dict(line.split(" ", 1) for line in (FOLDER / "words.txt").read_text().splitlines())
# LibriVox readers breathe before they speak, and their last sounds are soft: words are what is within 26 dB
# of the loudest 10 ms. The hum of their rooms is as loud.
HUM = 200.0  # Hz
LOUD = 0.05


def sentence(number: str) -> Speech:
    return Speech.load(FOLDER / f"austen-{number}.flac", WORDS[f"austen-{number}"])


def line(identity: str, speech: Speech, spoken: Spoken) -> Line:
    """What someone said, and when its words really began and ended."""
    begin, end = loud_part(speech)
    file_began = spoken.begin - timedelta(seconds=speech.lead)
    return Line(
        identity, speech.words, file_began + timedelta(seconds=begin), file_began + timedelta(seconds=end)
    )


def word_error_rate(said: Iterable[str], heard: Iterable[str]) -> float:
    """Of all words together, spelling aside."""
    return float(jiwer.wer(plain(" ".join(said)), plain(" ".join(heard))))


def differences(said: Iterable[str], heard: Iterable[str]) -> list[str]:
    """What was heard instead of what was said, e.g. `boat: bet`; `-` stands for nothing."""
    result = jiwer.process_words(plain(" ".join(said)), plain(" ".join(heard)))
    (truth,), (found,) = result.references, result.hypotheses
    return [
        f"{' '.join(truth[part.ref_start_idx : part.ref_end_idx]) or '-'}: "
        f"{' '.join(found[part.hyp_start_idx : part.hyp_end_idx]) or '-'}"
        for part in result.alignments[0]
        if part.type != "equal"
    ]


def plain(text: str) -> str:
    """Words as Whisper's authors compare them: "twenty five" is "25", "Mr." is "mister"."""
    return _normalised()(text)


@cache
def _normalised() -> Callable[[str], str]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the library's source has invalid escape sequences
        from whisper_normalizer.english import EnglishTextNormalizer  # noqa: PLC0415
    normalised: Callable[[str], str] = EnglishTextNormalizer()
    return normalised


def loud_part(speech: Speech, share: float = LOUD, hum: float = HUM) -> tuple[float, float]:
    """From when to when, in s, it is at least this share as loud as in its loudest 10 ms, above `hum` Hz."""
    size = speech.sample_rate // 100
    samples = _without_hum(speech, hum) if hum else speech.samples.astype(np.float64)
    frames = samples[: len(samples) // size * size].reshape(-1, size)
    loudness = np.sqrt((frames**2).mean(axis=1))
    loud = np.flatnonzero(loudness > share * loudness.max())
    return float(loud[0]) / 100, float(loud[-1] + 1) / 100


def _without_hum(speech: Speech, hum: float) -> NDArray[np.float64]:
    """High-pass with a slope from half of `hum` Hz to one and a half: a steep one would ring."""
    spectrum = np.fft.rfft(speech.samples.astype(np.float64))
    frequencies = np.arange(len(spectrum)) / speech.duration
    return np.fft.irfft(spectrum * np.clip(frequencies / hum - 0.5, 0, 1), len(speech.samples))


def words_alone(speech: Speech) -> NDArray[np.int16]:
    """The sentence without the silence round it, at the rate that recognition works with."""
    begin, end = loud_part(speech)
    assert speech.sample_rate == 16_000
    return speech.samples[int(begin * 16_000) : int(end * 16_000)]
