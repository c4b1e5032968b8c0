"""Speech with known words: what a caller says, and where in the file it can be heard."""

import wave
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

Samples = NDArray[np.int16]

FRAME_SECONDS = 0.01
AUDIBLE = 0.02  # of the loudest frame, i.e. 34 dB below it: above a recording's noise, below a soft consonant


@dataclass(frozen=True, eq=False)
class Speech:
    """Mono samples and their words. `lead` and `tail` are the seconds of silence round what is audible."""

    samples: Samples
    sample_rate: int
    words: str = ""
    lead: float = 0.0
    tail: float = 0.0

    @classmethod
    def of(cls, samples: Samples, sample_rate: int, words: str = "") -> "Speech":
        """Take samples as they are and note the extent of their silence."""
        lead, tail = _silence_round(samples, sample_rate)
        return cls(samples, sample_rate, words, lead, tail)

    @classmethod
    def load(cls, path: Path, words: str = "") -> "Speech":
        """Read a 16-bit WAV file, or anything else that PyAV decodes (FLAC, Ogg). Stereo is mixed down."""
        samples, sample_rate = _read_wav(path) if path.suffix.lower() == ".wav" else _decode(path)
        return cls.of(samples, sample_rate, words)

    @property
    def duration(self) -> float:
        """Seconds, silence included."""
        return len(self.samples) / self.sample_rate

    @property
    def audible(self) -> float:
        """Seconds from the first to the last audible sample."""
        return self.duration - self.lead - self.tail

    def at(self, sample_rate: int) -> "Speech":
        """The same speech at another rate; band-limited (by Fourier transform), so nothing shifts in time."""
        if sample_rate == self.sample_rate:
            return self
        length = round(len(self.samples) * sample_rate / self.sample_rate)
        spectrum = np.fft.rfft(self.samples.astype(np.float64))
        resampled = np.fft.irfft(_cut_or_pad(spectrum, length // 2 + 1), length) * length / len(self.samples)
        samples = np.clip(np.rint(resampled), -32768, 32767).astype(np.int16)
        return Speech(samples, sample_rate, self.words, self.lead, self.tail)


def onset(samples: Samples, sample_rate: int) -> float | None:
    """Seconds before the first audible sample, also for a recording from a room; None when all is silence."""
    lead, tail = _silence_round(samples, sample_rate)
    return lead if lead + tail < len(samples) / sample_rate else None


def _silence_round(samples: Samples, sample_rate: int) -> tuple[float, float]:
    size = int(sample_rate * FRAME_SECONDS)
    frames = samples[: len(samples) // size * size].reshape(-1, size).astype(np.float64)
    loudness = np.sqrt(np.mean(frames**2, axis=1))
    heard = np.flatnonzero(loudness > AUDIBLE * loudness.max(initial=0.0))
    duration = len(samples) / sample_rate
    if not len(heard):
        return duration, 0.0
    return float(heard[0]) * FRAME_SECONDS, max(duration - float(heard[-1] + 1) * FRAME_SECONDS, 0.0)


def _cut_or_pad(spectrum: NDArray[np.complex128], length: int) -> NDArray[np.complex128]:
    resized = np.zeros(length, dtype=np.complex128)
    kept = min(length, len(spectrum))
    resized[:kept] = spectrum[:kept]
    return resized


def _read_wav(path: Path) -> tuple[Samples, int]:
    with wave.open(str(path)) as file:
        if file.getsampwidth() != 2:
            raise ValueError(f"{path.name}: {8 * file.getsampwidth()}-bit WAV; 16-bit is needed")
        samples = np.frombuffer(file.readframes(file.getnframes()), dtype="<i2").astype(np.int16)
        channels = samples.reshape(-1, file.getnchannels())
        return _mixed_down(channels), file.getframerate()


def _decode(path: Path) -> tuple[Samples, int]:
    import av  # noqa: PLC0415  (slow to load, and not needed for WAV)

    with av.open(str(path)) as container:
        rate = container.streams.audio[0].rate
        resampler = av.AudioResampler(format="s16", layout="mono", rate=rate)
        blocks = [
            block.to_ndarray().reshape(-1)
            for frame in [*container.decode(audio=0), None]
            for block in resampler.resample(frame)
        ]
    return np.concatenate(blocks).astype(np.int16), rate


def _mixed_down(channels: Samples) -> Samples:
    return channels[:, 0] if channels.shape[1] == 1 else channels.mean(axis=1).astype(np.int16)
