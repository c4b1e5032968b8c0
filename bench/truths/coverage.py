"""The coverage ledger: nothing that was said is missing without a gap that says so."""

import asyncio
from collections.abc import Awaitable, Callable

from agent.demo.speech import Speech
from agent.local.whisper import WhisperServer
from agent.session.spans import Span
from agent.utterances import RATE
from bench.speech import WORDS, sentence, words_alone
from bench.stack import Stack, new_room, until
from bench.truths import ledger
from bench.truths.case import Case, Rig, Row

PEOPLE = ("student-1", "counselor-1")
BREATH = 0.8  # s between two sentences
AWAY = 30.0  # s

Interrupt = Callable[[], Awaitable[None]]


async def talk(stack: Stack, room: str, rounds: int, after_first_round: Interrupt) -> dict[str, list[Span]]:
    """Two people say the sentences, alternately and sometimes at once; when there was speech, by identity."""
    spoken: dict[str, list[Span]] = {identity: [] for identity in PEOPLE}
    # Without the reader's breath before it: whether that is speech, nobody can say.
    alone = [words_alone(sentence(name.removeprefix("austen-"))) for name in WORDS]
    sentences = [Speech.of(samples, RATE) for samples in alone]
    async with stack.joining(room, PEOPLE[0]) as student, stack.joining(room, PEOPLE[1]) as counselor:
        await until(lambda: stack.log("recording_began", room=room))
        for number in range(rounds):
            for index, speech in enumerate(sentences):
                both = index == len(sentences) - 1
                callers = (student, counselor) if both else ((student, counselor)[index % 2],)
                said = await asyncio.gather(*(caller.say(speech) for caller in callers))
                for caller, spoke in zip(callers, said, strict=True):
                    spoken[caller.identity] += ledger.played(speech, spoke)
                await asyncio.sleep(BREATH)
            if number == 0:
                await after_first_round()
    return spoken


async def _nothing() -> None:
    pass


async def conversation(rig: Rig) -> list[Row]:
    """Everything is at hand all the time."""
    room = new_room()
    spoken = await talk(rig.stack, room, 2, _nothing)
    return ledger.rows("conversation", await rig.stack.completed(room), spoken)


async def whisper_away(rig: Rig) -> list[Row]:
    """Whisper is killed in mid-session and is back half a minute later: it is all transcribed, later."""
    whisper = WhisperServer(rig.folder / "whisper-away", "base")
    returning: list[asyncio.Task[None]] = []

    async def come_back() -> None:
        await asyncio.sleep(AWAY)
        whisper.spawn()

    async def kill() -> None:
        whisper.kill()
        returning.append(asyncio.create_task(come_back()))

    whisper.start()
    try:
        with rig.stack_of_its_own(OPENAI_BASE_URL=whisper.base_url) as stack:
            room = new_room()
            spoken = await talk(stack, room, 3, kill)
            await asyncio.gather(*returning)
            record = await stack.completed(room, within=180)
    finally:
        whisper.kill()
    return ledger.rows(f"Whisper away for {AWAY:.0f} s", record, spoken)


async def whisper_gone(rig: Rig) -> list[Row]:
    """Whisper is killed in mid-session and does not come back: what was said since is a gap of its length."""
    whisper = WhisperServer(rig.folder / "whisper-gone", "base")
    whisper.start()

    async def kill() -> None:
        await until(lambda: len(stack.log("utterance_recognised", room=room)) >= len(WORDS))
        whisper.kill()

    try:
        with rig.stack_of_its_own(
            OPENAI_BASE_URL=whisper.base_url, RECORDER_TRANSCRIPTION_GRACE="5"
        ) as stack:
            room = new_room()
            spoken = await talk(stack, room, 2, kill)
            return ledger.rows("Whisper gone for good", await stack.completed(room), spoken)
    finally:
        whisper.kill()


CASES = [
    Case("coverage: conversation", 60, conversation),
    Case("coverage: Whisper away", 140, whisper_away),
    Case("coverage: Whisper gone", 75, whisper_gone),
]
