"""Imported once by the process that job processes are forked from: what they share, they need not load."""

import anyio._backends._asyncio  # noqa: F401  (anyio and openai import these at first use, in a job's loop)
import livekit.local_inference
import openai.resources.audio.transcriptions  # noqa: F401

import agent.room  # noqa: F401

livekit.local_inference.init_vad()
