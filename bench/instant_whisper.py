"""OpenAI's transcription API without a model: answers at once, always the same, and counts what it is asked.

As a program: `python -m bench.instant_whisper PORT`.
"""

import io
import json
import sys
import wave
from contextlib import suppress
from typing import Any
from urllib.request import urlopen

from aiohttp import web

from agent.local.processes import LOOPBACK

WORDS = "These are the words that everybody says."


class InstantWhisper:
    """Keeps count of the requests and of the seconds of sound that came with them."""

    def __init__(self) -> None:
        self._requests = 0
        self._seconds = 0.0

    def app(self) -> web.Application:
        app = web.Application(client_max_size=32 * 1024 * 1024)
        app.router.add_post("/v1/audio/transcriptions", self._transcribe)
        app.router.add_get("/heard", self._heard)
        return app

    async def _transcribe(self, request: web.Request) -> web.Response:
        form = await request.post()
        file = form.get("file")
        if not isinstance(file, web.FileField):
            return web.json_response(
                {"error": {"message": "no file", "type": "invalid_request_error"}}, status=400
            )
        duration = _duration(file.file.read())
        self._requests += 1
        self._seconds += duration
        form_of_answer = form.get("response_format", "json")
        if form_of_answer == "text":
            return web.Response(text=WORDS + "\n")
        return web.json_response(_verbose(duration) if form_of_answer == "verbose_json" else {"text": WORDS})

    async def _heard(self, _: web.Request) -> web.Response:
        return web.json_response({"requests": self._requests, "seconds": self._seconds})


def heard(port: int) -> tuple[int, float]:
    """How many requests the stub on this port has had, and how many seconds of sound."""
    with urlopen(f"http://{LOOPBACK}:{port}/heard", timeout=10) as answer:
        counts = json.load(answer)
    return counts["requests"], counts["seconds"]


def _verbose(duration: float) -> dict[str, Any]:
    segment = {
        "id": 0,
        "seek": 0,
        "start": 0.0,
        "end": duration,
        "text": WORDS,
        "tokens": [],
        "temperature": 0.0,
    }
    scores = {"avg_logprob": -0.1, "compression_ratio": 1.0, "no_speech_prob": 0.0}
    return {
        "task": "transcribe",
        "language": "english",
        "duration": duration,
        "text": WORDS,
        "segments": [segment | scores],
    }


def _duration(data: bytes) -> float:
    """Seconds of a WAV file, which is what the OpenAI plugin sends; 0 for anything else."""
    with suppress(wave.Error, EOFError), wave.open(io.BytesIO(data)) as file:
        return float(file.getnframes() / file.getframerate())
    return 0.0


if __name__ == "__main__":
    web.run_app(InstantWhisper().app(), host=LOOPBACK, port=int(sys.argv[1]), print=None, access_log=None)
