"""Words: what was said is what is written, by whoever's voice, and beside the moment when it was said."""

import asyncio
import io
import wave
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack

import openai

from agent.demo.caller import Caller
from agent.demo.script import Line
from bench.speech import differences, word_error_rate
from bench.stack import Stack, new_room, until
from bench.truths import corpus
from bench.truths.case import Case, Rig, Row
from bench.truths.corpus import NAMES, NUMBERS, TALK, Clip
from bench.truths.moments import rows_of_moments
from bench.truths.voices import Voice

BREATH = 0.9  # s between sentences: each is an utterance of its own
WORSE = 1.0  # points of word error rate
SPEAKERS = ("student-1", "counselor-1", "participant-1")
Said = Mapping[str, Sequence[Clip]]

WOMAN = Voice("a woman")
MAN = Voice("a man", depth=0.8)
LADY = Voice("a smaller woman", depth=1.12)
BRITON = Voice("a British man", british=True, depth=0.88)


def human() -> Said:
    sentences = corpus.human()
    return {
        "human": sentences,
        "human, 30 dB quieter": [corpus.quieter(clip, 30) for clip in sentences],
        "human, noise at 10 dB": [corpus.in_noise(clip, 10) for clip in sentences],
    }


def voices() -> Said:
    return {
        "a woman, numbers": corpus.spoken_by(WOMAN, NUMBERS),
        "a man, names": corpus.spoken_by(MAN, NAMES),
        "a smaller woman, small talk": corpus.spoken_by(LADY, TALK),
    }


def more_voices() -> Said:
    return {
        "the demo's two voices": corpus.demo(),
        "a plain voice (espeak), small talk": corpus.spoken_plainly("en-us", TALK),
        "a British man, numbers": corpus.spoken_by(BRITON, NUMBERS),
    }


def pace() -> Said:
    fast, slow = Voice("fast", pace=1.35), Voice("slow", pace=0.75, depth=0.8)
    return {
        "fast, a woman": corpus.spoken_by(fast, TALK),
        "slow, a man": corpus.spoken_by(slow, NUMBERS),
        "fast, a man": corpus.spoken_by(Voice("a fast man", pace=1.3, depth=0.8), NAMES),
    }


def conditions() -> Said:
    return {
        "30 dB quieter": [corpus.quieter(clip, 30) for clip in corpus.spoken_by(WOMAN, TALK)],
        "noise at 10 dB": [corpus.in_noise(clip, 10) for clip in corpus.spoken_by(MAN, NUMBERS)],
        "noise at 10 dB, a woman": [corpus.in_noise(clip, 10) for clip in corpus.spoken_by(LADY, NAMES)],
    }


async def heard_in_a_room(stack: Stack, said: Said) -> tuple[list[list[Line]], list[list[dict[str, str]]]]:
    """Let each talk at once with the others; what each truly said, and what was written of it."""
    room = new_room()
    speakers = SPEAKERS[: len(said)]
    async with AsyncExitStack() as leaving:
        callers = [await leaving.enter_async_context(stack.joining(room, who)) for who in speakers]
        await until(lambda: stack.log("recording_began", room=room))
        lines = await asyncio.gather(
            *(speak(caller, clips) for caller, clips in zip(callers, said.values(), strict=True))
        )
        await callers[0].send("session.end", {})  # answered when all words are recognised
        await callers[0].wait_for_message("session.saved", 180)
    record = await stack.completed(room)
    return lines, [[e for e in record["transcript"] if e["identity"] == who] for who in speakers]


async def speak(caller: Caller, clips: Sequence[Clip]) -> list[Line]:
    lines = []
    for clip in clips:
        lines.append(clip.line(caller.identity, await caller.say(clip.speech)))
        await asyncio.sleep(BREATH)
    return lines


async def through_a_room(rig: Rig, *, title: str, said: Said) -> list[Row]:
    """Word error rate against the same model on the raw files, and the moments of all that was said."""
    lines, heard = await heard_in_a_room(rig.stack, said)
    rows = [
        word_row(f"words: {name}", clips, await raw(rig, clips), [entry["text"] for entry in entries])
        for (name, clips), entries in zip(said.items(), heard, strict=True)
    ]
    return [*rows, *rows_of_moments(title, lines, heard)]


async def raw(rig: Rig, clips: Sequence[Clip]) -> list[str]:
    """What the model hears when it is given the files themselves."""
    async with openai.AsyncClient(api_key="local", base_url=rig.whisper_url) as client:
        return [
            (
                await client.audio.transcriptions.create(
                    file=("speech.wav", _wav(clip)), model="whisper-1", language="en"
                )
            ).text
            for clip in clips
        ]


def word_row(name: str, clips: Sequence[Clip], from_files: list[str], heard: list[str]) -> Row:
    """Two word error rates side by side, and what only the room made of the words."""
    words = [clip.speech.words for clip in clips]
    at_best, wrong = 100 * word_error_rate(words, from_files), 100 * word_error_rate(words, heard)
    count = sum(len(text.split()) for text in words)
    new = [wrong for wrong in differences(words, heard) if wrong not in differences(words, from_files)]
    return Row(
        name,
        f"{count} words; from the file WER {at_best:.1f} %",
        f"WER {wrong:.1f} %" + (f" ({', '.join(new[:4])})" if new else ""),
        f"{wrong - at_best:+.1f} points",
        wrong - at_best <= WORSE,
    )


def _wav(clip: Clip) -> bytes:
    file = io.BytesIO()
    with wave.open(file, "wb") as writer:
        writer.setnchannels(1)
        writer.setsampwidth(2)
        writer.setframerate(clip.speech.sample_rate)
        writer.writeframes(clip.speech.samples.astype("<i2").tobytes())
    return file.getvalue()


def _case(title: str, seconds: float, make: Callable[[], Said]) -> Case:
    async def measure(rig: Rig) -> list[Row]:
        return await through_a_room(rig, title=title, said=await asyncio.to_thread(make))

    return Case(f"words, {title}", seconds, measure)


CASES = [
    _case("human speech", 80, human),
    _case("voices", 90, voices),
    _case("more voices", 90, more_voices),
    _case("pace", 90, pace),
    _case("quiet and noise", 90, conditions),
]
