"""A recorded room behind a bad line, in which each publisher's streams are known by their SSRC."""

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from agent.demo.bad_line import TO_CLIENT, TO_SFU, BadLine, Count, run_bad_sfu
from agent.demo.caller import Caller
from agent.demo.line_conditions import Direction, Kind
from agent.demo.speech import Speech
from agent.local.postgres import EmbeddedPostgres
from bench.stack import Stack, new_room, running_stack, until

RATE = 48_000


@dataclass(frozen=True)
class BadStack:
    """A worker on a LiveKit server that clients, the recorder among them, reach by a bad line."""

    stack: Stack
    line: BadLine


@contextmanager
def bad_stack(
    folder: Path, postgres: EmbeddedPostgres, whisper_url: str, **settings: str
) -> Iterator[BadStack]:
    """With its files in this folder."""
    with (
        run_bad_sfu(folder / "sfu", overrides={"room": {"departure_timeout": 3}}) as (sfu, line),
        running_stack(sfu, postgres, whisper_url, folder / "recorder", **settings) as stack,
    ):
        yield BadStack(stack, line)


@dataclass(frozen=True)
class Publisher:
    """Who publishes one track, and its stream in each direction."""

    caller: Caller
    ssrcs: Mapping[Direction, int]

    def count(self, line: BadLine, direction: Direction) -> Count:
        return next(c for c in line.counts(direction) if c.ssrc == self.ssrcs[direction])


@dataclass(frozen=True)
class BadRoom:
    """A room whose publishers nobody but the recorder listens to, so that no line but its own leads out."""

    name: str
    publishers: dict[str, Publisher]


@asynccontextmanager
async def bad_room(
    bad: BadStack, identities: list[str], kind: Kind, **options: Any
) -> AsyncIterator[BadRoom]:
    """All have joined, and the recorder gets what they publish."""
    room = BadRoom(new_room(), {})
    options = {"microphone": kind == "audio", "camera": kind == "video", "auto_subscribe": False, **options}
    async with AsyncExitStack() as callers:
        for identity in identities:
            known = {count.ssrc for count in bad.line.counts()}
            caller = await callers.enter_async_context(bad.stack.joining(room.name, identity, **options))
            ssrcs = await until(lambda known=known: _new_streams(bad.line, known, kind))
            room.publishers[identity] = Publisher(caller, ssrcs)
        yield room


def _new_streams(line: BadLine, known: set[int], kind: Kind) -> dict[Direction, int]:
    """The SSRCs of a track that was published just now; empty until it is seen in both directions."""
    new = [c for c in line.counts() if c.ssrc not in known and c.kind == kind]
    ssrcs: dict[Direction, int] = {c.direction: c.ssrc for c in new}
    return ssrcs if {TO_SFU, TO_CLIENT} <= ssrcs.keys() else {}


def hum(seconds: float) -> Speech:
    """A chord that swells and fades: never silent for Opus, never speech for whoever looks for words."""
    t = np.arange(round(seconds * RATE)) / RATE
    chord = sum(np.sin(2 * np.pi * pitch * t) for pitch in (220, 277.18, 329.63))
    samples = 3000 * chord * (1 + 0.5 * np.sin(2 * np.pi * 3 * t))
    return Speech(samples.astype(np.int16), RATE)


async def all_hum(room: BadRoom, seconds: float) -> None:
    """Everybody at once."""
    sound = hum(seconds)
    await asyncio.gather(*(publisher.caller.say(sound) for publisher in room.publishers.values()))
