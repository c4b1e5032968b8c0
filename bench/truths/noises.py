"""Sounds that are not speech, made by arithmetic: noise, music, a hummed tune, keyboard clatter."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from agent.demo.speech import Speech

RATE = 16_000  # Hz
Sound = NDArray[np.float64]  # samples between -1 and 1

SCALE = (0, 2, 4, 5, 7, 9, 11)  # semitones of a major key
CHORDS = ((0, 4, 7), (9, 12, 16), (5, 9, 12), (7, 11, 14))  # I vi IV V
BEAT = 0.5  # s
VOWELS = ((700, 1200, 2600), (400, 2000, 2600), (450, 900, 2400))  # formants in Hz: ah, ee, oh


def silence(seconds: float) -> Sound:
    return np.zeros(int(seconds * RATE))


def white(seconds: float) -> Sound:
    return 0.1 * _random().standard_normal(int(seconds * RATE))


def pink(seconds: float) -> Sound:
    """As much power in each octave: nearer to a room full of machines and air than white noise is."""
    spectrum = np.fft.rfft(_random().standard_normal(int(seconds * RATE)))
    spectrum[1:] /= np.sqrt(np.arange(1, len(spectrum)))
    spectrum[0] = 0
    noise = np.fft.irfft(spectrum, int(seconds * RATE))
    return _at(0.1 / noise.std(), noise)


def music(seconds: float) -> Sound:
    """A band: chords, bass, a lead with vibrato, drums. No two bars are alike."""
    random = _random()
    sound = silence(seconds)
    for beat in range(int(seconds / BEAT)):
        chord = CHORDS[beat // 4 % len(CHORDS)]
        if beat % 4 == 0:
            for note in chord:
                _add(sound, beat * BEAT, 0.12 * _tone(_hertz(note - 12), 4 * BEAT, 1.2))
        _add(sound, beat * BEAT, 0.25 * _tone(_hertz(chord[0] - 24), BEAT, 1.5))
        for half in range(int(random.integers(1, 3))):
            note = SCALE[random.integers(len(SCALE))] + 12
            _add(sound, (beat + half / 2) * BEAT, 0.15 * _tone(_hertz(note), BEAT / 2, 0.9, vibrato=0.006))
        _add(sound, beat * BEAT, _drum(random, kick=beat % 2 == 0))
        _add(sound, (beat + 0.5) * BEAT, 0.08 * random.standard_normal(400) * np.exp(-np.arange(400) / 80))
    return _at(0.5 / np.abs(sound).max(), sound)


def hummed_tune(seconds: float) -> Sound:
    """The hardest: a voice's own source and formants, singing vowels without a word."""
    random = _random()
    sound = silence(seconds)
    at = 0.0
    while at < seconds - 2:
        length = float(random.choice([0.3, 0.6, 0.9]))
        note = SCALE[random.integers(len(SCALE))] - 12
        vowel = VOWELS[random.integers(len(VOWELS))]
        _add(sound, at, 0.3 * _tone(_hertz(note), length, 0.7, vibrato=0.01, formants=vowel))
        at += length + float(random.choice([0.0, 0.05, 0.8], p=[0.6, 0.3, 0.1]))
    return _at(0.4 / np.abs(sound).max(), sound)


def keyboard(seconds: float) -> Sound:
    """Somebody types: bursts of clicks, a duller thud under each, and now and then a pause."""
    random = _random()
    sound = 0.001 * random.standard_normal(int(seconds * RATE))
    at = 0.0
    while at < seconds - 1:
        size = int(random.integers(200, 700))
        decay = np.exp(-np.arange(size) / (size / 5))
        thud = np.sin(2 * np.pi * random.uniform(120, 400) * np.arange(size) / RATE)
        click = (random.standard_normal(size) + thud) * decay * random.uniform(0.05, 0.3)
        _add(sound, at, click)
        _add(sound, at + random.uniform(0.05, 0.1), 0.4 * click)  # the key comes up
        at += float(random.gamma(4, 0.04)) + (float(random.uniform(0.5, 2)) if random.random() < 0.06 else 0)
    return sound


SOUNDS: dict[str, Callable[[float], Sound]] = {
    "silence": silence,
    "white noise": white,
    "music": music,
    "a hummed tune": hummed_tune,
    "keyboard clatter": keyboard,
}


def as_speech(sound: Sound) -> Speech:
    """To be `say`d; there are no words in it."""
    return Speech.of(np.clip(np.rint(32_767 * sound), -32_768, 32_767).astype(np.int16), RATE)


def _tone(
    hertz: float, seconds: float, decay: float, *, vibrato: float = 0.0, formants: tuple[int, ...] = ()
) -> Sound:
    """A note with its harmonics; `decay` in s, `vibrato` as a fraction of the pitch."""
    time = np.arange(int(seconds * RATE)) / RATE
    phase = 2 * np.pi * hertz * (time + vibrato * np.sin(2 * np.pi * 5.5 * time) / (2 * np.pi * 5.5))
    harmonics = range(1, int(min(RATE / 2 / hertz, 30)))
    tone = np.sum([_strength(n, hertz, formants) * np.sin(n * phase) for n in harmonics], axis=0)
    edge = np.minimum(1, np.minimum(time, time[::-1]) / 0.02)
    faded: Sound = tone * edge * np.exp(-time / decay)
    return faded


def _strength(harmonic: int, hertz: float, formants: tuple[int, ...]) -> float:
    if not formants:
        return float(1 / harmonic**1.3)
    resonances = [np.exp(-(((harmonic * hertz - f) / 120) ** 2)) / (1 + n) for n, f in enumerate(formants)]
    return float(0.05 / harmonic + np.sum(resonances))


def _drum(random: np.random.Generator, *, kick: bool) -> Sound:
    time = np.arange(int(0.2 * RATE)) / RATE
    if kick:
        return _at(0.6, np.sin(2 * np.pi * (50 * time + 8 * np.exp(-30 * time))) * np.exp(-time / 0.06))
    return _at(0.25, random.standard_normal(len(time)) * np.exp(-time / 0.04))


def _at(gain: float, sound: Sound) -> Sound:
    louder: Sound = gain * sound
    return louder


def _add(sound: Sound, at: float, part: Sound) -> None:
    first = int(at * RATE)
    part = part[: max(len(sound) - first, 0)]
    sound[first : first + len(part)] += part


def _hertz(semitones_from_a: int) -> float:
    return float(440 * 2 ** (semitones_from_a / 12))


def _random() -> np.random.Generator:
    """The same sounds every time."""
    return np.random.default_rng(1)
