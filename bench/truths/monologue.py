"""A minute and more without a pause: no word is lost or doubled where it had to be cut."""

import asyncio
from collections.abc import Sequence

import numpy as np

from agent.demo.speech import Speech
from bench.speech import loud_part
from bench.truths import corpus
from bench.truths.case import Case, Rig, Row
from bench.truths.corpus import NAMES, NUMBERS, TALK, Clip
from bench.truths.voices import Voice
from bench.truths.words import Said, heard_in_a_room, raw, word_row

BREATH = 0.1  # s; far less than the pause that ends an utterance
TIMES = 3


async def without_a_pause(rig: Rig) -> list[Row]:
    """Two monologues at once. The model is given the same words sentence by sentence."""
    sentences = await asyncio.to_thread(_sentences)
    said: Said = {name: [_joined(clips)] for name, clips in sentences.items()}
    _, heard = await heard_in_a_room(rig.stack, said)
    return [
        word_row(
            f"monologue: {name}, {said[name][0].speech.duration:.0f} s",
            clips,
            await raw(rig, clips),
            [entry["text"] for entry in entries],
        )
        for (name, clips), entries in zip(sentences.items(), heard, strict=True)
    ]


def _sentences() -> dict[str, list[Clip]]:
    return {
        "human": corpus.human() * TIMES,
        "a man": corpus.spoken_by(Voice("a man", depth=0.8), [*NUMBERS, *NAMES, *TALK]),
    }


def _joined(clips: Sequence[Clip]) -> Clip:
    rate = clips[0].speech.sample_rate
    breath = np.zeros(int(BREATH * rate), np.int16)
    parts = [
        part
        for clip in clips
        for part in (clip.speech.samples[int(clip.begin * rate) : int(clip.end * rate)], breath)
    ]
    speech = Speech.of(np.concatenate(parts), rate, " ".join(clip.speech.words for clip in clips))
    return Clip(speech, *loud_part(speech))


CASES = [Case("monologue", 120, without_a_pause)]
