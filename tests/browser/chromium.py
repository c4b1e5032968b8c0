"""Where the browser is, and how it is started for people who talk."""

import os
import shutil
import wave
from pathlib import Path

import numpy as np

from agent.demo.speech import Speech

NAMES = ("chromium", "chromium-browser", "google-chrome")
FLAGS = [
    "--no-sandbox",  # as root there is none; only our own pages are opened
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    # Camera and microphone without asking: a moving picture, and a WAV file for the voice.
    "--use-fake-device-for-media-stream=fps=10",
    "--use-fake-ui-for-media-stream",
    # The LiveKit server of a test is on 127.0.0.1, which WebRTC leaves out.
    "--allow-loopback-in-peer-connection",
]
RATE = 48_000
REPEATED_EVERY = 20.0  # seconds


def find_chromium() -> str:
    """CHROMIUM, else one on PATH."""
    for name in filter(None, (os.environ.get("CHROMIUM"), *NAMES)):
        if path := shutil.which(name):
            return path
    raise FileNotFoundError("no Chromium: `make setup` installs it, or set CHROMIUM to where it is")


def speaking(path: Path, speech: Speech) -> list[str]:
    """Flags for a microphone that says this again and again, with silence between."""
    samples = speech.at(RATE).samples
    silence = np.zeros(max(int(REPEATED_EVERY * RATE) - len(samples), RATE), np.int16)
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, RATE, 0, "NONE", ""))
        file.writeframes(np.concatenate([samples, silence]).tobytes())
    return [f"--use-file-for-fake-audio-capture={path}"]
