"""A Whisper that answers as a test says."""

import asyncio

import numpy as np

from agent.recognition import Recogniser, Words
from agent.settings import Settings
from agent.utterances import RATE, Samples

NOISE: Samples = np.random.default_rng(1).integers(-9000, 9000, RATE).astype(np.int16)


class Whisper(Recogniser):
    """Hears words in `NOISE`, when it is there and does not refuse."""

    def __init__(self, problem: Exception | None = None) -> None:
        super().__init__(Settings(_env_file=None, openai_api_key="none"))
        self.problem = problem
        self.there = asyncio.Event()
        self.there.set()
        self.asked = 0

    async def words(self, samples: Samples) -> Words:
        assert np.array_equal(samples, NOISE)
        self.asked += 1
        await self.there.wait()
        if self.problem:
            raise self.problem
        return Words("Said before.", "en")
