"""Two minutes of every sound that is not speech, and of a muted microphone: nothing is written."""

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial

import numpy as np

from agent.demo.caller import Caller
from agent.demo.speech import Speech
from bench.speech import WORDS, sentence
from bench.stack import new_room, until
from bench.truths.case import Case, Rig, Row
from bench.truths.noises import SOUNDS, as_speech

SECONDS = 120.0


async def not_a_word(rig: Rig) -> list[Row]:
    """One room for each, side by side."""
    sounds = {name: await asyncio.to_thread(as_speech, make(SECONDS)) for name, make in SOUNDS.items()}
    return await asyncio.gather(
        *(_row(rig, name, partial(_play, sound)) for name, sound in sounds.items()),
        _row(rig, "a muted microphone", _talk_while_muted),
    )


async def _row(rig: Rig, name: str, play: Callable[[Caller], Awaitable[object]]) -> Row:
    room = new_room()
    async with rig.stack.joining(room, "student-1") as student:
        await until(lambda: rig.stack.log("recording_began", room=room))
        await play(student)
    record = await rig.stack.completed(room)
    written = [entry["text"] for entry in record["transcript"]]
    return Row(
        f"not speech: {name}",
        f"{SECONDS:.0f} s without a word",
        f"{len(written)} entries",
        "; ".join(written)[:80] or "none",
        holds=not written,
    )


async def _play(sound: Speech, caller: Caller) -> None:
    await caller.say(sound)


async def _talk_while_muted(caller: Caller) -> None:
    """Whoever mutes their microphone goes on talking, to somebody else."""
    speeches = [sentence(name.removeprefix("austen-")) for name in WORDS]
    samples = np.concatenate([speech.samples for speech in speeches])
    rate = speeches[0].sample_rate
    caller.mute("microphone")
    await caller.say(Speech.of(np.resize(samples, int(SECONDS * rate)), rate))


CASES = [Case("not speech", SECONDS + 30, not_a_word)]
