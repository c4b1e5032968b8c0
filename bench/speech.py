"""Human sentences with known words, and how far a transcript is from them."""

import re
from collections.abc import Iterable
from datetime import timedelta
from pathlib import Path

import jiwer
import numpy as np
from numpy.typing import NDArray

from agent.demo.microphone import Spoken
from agent.demo.script import Line
from agent.demo.speech import Speech

FOLDER = Path(__file__).parents[1] / "tests" / "speech"
WORDS = dict(line.split(" ", 1) for line in (FOLDER / "words.txt").read_text().splitlines())
# LibriVox readers breathe before they speak: words are what is a tenth as loud as the loudest 10 ms.
LOUD = 0.1


def sentence(number: str) -> Speech:
    return Speech.load(FOLDER / f"austen-{number}.flac", WORDS[f"austen-{number}"])


def line(identity: str, speech: Speech, spoken: Spoken) -> Line:
    """What someone said, and when its words really began and ended."""
    begin, end = _loud_part(speech)
    file_began = spoken.begin - timedelta(seconds=speech.lead)
    return Line(
        identity, speech.words, file_began + timedelta(seconds=begin), file_began + timedelta(seconds=end)
    )


def word_error_rate(said: Iterable[str], heard: Iterable[str]) -> float:
    """Of all words together, spelling aside."""
    return float(jiwer.wer(plain(" ".join(said)), plain(" ".join(heard))))


def plain(text: str) -> str:
    text = re.sub("[-\u2013\u2014]", " ", text.casefold()).replace("mr.", "mister")
    return " ".join(re.sub(r"[^a-z' ]", "", text).split())


def _loud_part(speech: Speech) -> tuple[float, float]:
    size = speech.sample_rate // 100
    frames = speech.samples[: len(speech.samples) // size * size].reshape(-1, size).astype(np.float64)
    loudness = np.sqrt((frames**2).mean(axis=1))
    loud = np.flatnonzero(loudness > LOUD * loudness.max())
    return float(loud[0]) / 100, float(loud[-1] + 1) / 100


def words_alone(speech: Speech) -> NDArray[np.int16]:
    """The sentence without the silence round it, at the rate that recognition works with."""
    begin, end = _loud_part(speech)
    assert speech.sample_rate == 16_000
    return speech.samples[int(begin * 16_000) : int(end * 16_000)]
