"""Imported once by the process that job processes are forked from: what they share, they need not load.

More than modules: much is only built when it is first used (the OpenAI client's models alone take 12 MB), and
would then be each job's own. So an utterance goes all the way here, to a service that is not there.
"""

import asyncio
import ctypes
from contextlib import suppress
from threading import Thread

import anyio._backends._asyncio  # noqa: F401  (anyio and openai import these at first use, in a job's loop)
import httpx2
import livekit.agents.ipc._preload  # what the framework loads in advance
import livekit.local_inference
import livekit.plugins.openai
import numpy as np
import openai.resources.audio.transcriptions  # noqa: F401
from livekit.agents.utils import http_context

from agent.audio_files import flac
from agent.job import prepared_recogniser
from agent.recognition import Recogniser
from agent.session.errors import TranscriptionUnavailable
from agent.settings import Settings
from agent.utterances import RATE

_ANSWER = {"text": "", "language": "english", "duration": 1.0, "segments": [], "words": []}
# Of glibc's mallopt. Left to itself it keeps what was freed once, for every thread: 15 MB a room.
_MALLOC = {"trim threshold": (-1, 1 << 20), "mmap threshold": (-3, 1 << 20), "arenas": (-8, 2)}


async def _rehearse() -> None:
    samples = np.zeros(RATE, np.int16)
    flac(samples)
    nowhere = httpx2.MockTransport(lambda _request: httpx2.Response(200, json=_ANSWER))
    settings = Settings().model_copy(update={"openai_base_url": "http://localhost/v1"})
    recogniser = Recogniser(settings, transport=nowhere, persistence=0.1)
    with suppress(TranscriptionUnavailable):  # it would cost memory, and no session
        await recogniser.words(samples)
    await recogniser.aclose()
    async with http_context.open():  # whom to believe (5 MB) when LiveKit's API is asked
        pass


livekit.local_inference.init_vad()
if set_option := getattr(ctypes.CDLL(None), "mallopt", None):
    for number, value in _MALLOC.values():
        set_option(number, value)
rehearsal = Thread(target=lambda: asyncio.run(_rehearse()))  # where a loop runs already, too
rehearsal.start()
rehearsal.join()
prepared_recogniser()
