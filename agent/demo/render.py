"""Render the demo's speech again: `python -m agent.demo.render`, after a change of its lines. Needs flite.

Ogg Opus keeps forty seconds in some 200 KB, and decodes to the 48 kHz that a microphone sends.
"""

import subprocess
import tempfile
from pathlib import Path

import av
import numpy as np

from agent.demo.lines import COUNSELOR, FOLDER, LINES, STUDENT
from agent.demo.speech import Samples, Speech

VOICES = {STUDENT: "slt", COUNSELOR: "rms"}  # a woman and a man
SAMPLE_RATE = 48_000
BIT_RATE = 40_000
LOUDEST = 23_000  # of 32 767
MARGIN = 0.05  # seconds of silence kept before and after: soft consonants are not cut


def render() -> None:
    """Speak every line with its speaker's voice, trimmed to the same loudness."""
    FOLDER.mkdir(exist_ok=True)
    for line, (speaker, words) in LINES.items():
        _write(FOLDER / f"{line}.ogg", _trimmed(_spoken(VOICES[speaker], words)))


def _spoken(voice: str, words: str) -> Speech:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "line.wav")
        subprocess.run(["flite", "-voice", voice, "-t", words, "-o", str(path)], check=True)
        return Speech.load(path).at(SAMPLE_RATE)


def _trimmed(speech: Speech) -> Samples:
    begin = max(speech.lead - MARGIN, 0)
    end = speech.duration - max(speech.tail - MARGIN, 0)
    samples = speech.samples[int(begin * SAMPLE_RATE) : int(end * SAMPLE_RATE)].astype(np.float64)
    louder: Samples = (samples / np.abs(samples).max() * LOUDEST).astype(np.int16)
    return louder


def _write(path: Path, samples: Samples) -> None:
    with av.open(str(path), "w", format="ogg") as container:
        stream = container.add_stream("libopus", rate=SAMPLE_RATE, layout="mono")
        stream.bit_rate = BIT_RATE
        frame = av.AudioFrame.from_ndarray(samples[None, :], format="s16", layout="mono")
        frame.sample_rate = SAMPLE_RATE
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


if __name__ == "__main__":
    render()
