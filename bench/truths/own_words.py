"""Words that participants, or agents for them, send as text: once, in order, with the time they began."""

import asyncio
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from livekit.agents.voice.room_io._output import _ParticipantStreamTranscriptionOutput as AgentOutput

from agent.demo.caller import Caller
from bench.speech import line, plain, sentence
from bench.stack import new_room, until
from bench.truths.case import Case, Rig, Row

LATE = timedelta(seconds=0.3)  # how far a beginning may be off
ONE, TWO, THREE = (sentence(number) for number in ("0890", "0920", "0930"))


@dataclass(frozen=True)
class Said:
    """What was sent, by whom, and when it began."""

    identity: str
    text: str
    began: datetime


async def messages(rig: Rig) -> list[Row]:
    """Somebody speaks, and a second later sends what they said: first without its time, then with it."""
    room = new_room()
    async with (
        rig.stack.joining(room, "student-1") as student,
        rig.stack.joining(room, "counselor-ai", kind="agent") as counselor,
    ):
        await until(lambda: rig.stack.log("recording_began", room=room))
        await counselor.say(ONE)
        await asyncio.sleep(1)
        said = [Said("counselor-ai", ONE.words, datetime.now(UTC))]
        await counselor.send("transcript", {"text": ONE.words})
        said.append(Said("student-1", THREE.words, line("", THREE, await student.say(THREE)).begin))
        said.append(Said("counselor-ai", TWO.words, (await counselor.say(TWO)).begin))
        await asyncio.sleep(1)
        await counselor.send(
            "transcript", {"text": TWO.words, "timestamp": said[-1].began.isoformat(), "language": "en-GB"}
        )
        await until(lambda: rig.stack.journaled(TWO.words))
    return rows("words sent as messages", await rig.stack.completed(room), said)


async def streams(rig: Rig) -> list[Row]:
    """An agent sends its own words and those it hears, with the framework's own class."""
    room = new_room()
    async with (
        rig.stack.joining(room, "student-1") as student,
        rig.stack.joining(room, "counselor-ai", kind="agent") as agent,
    ):
        await until(lambda: rig.stack.log("recording_began", room=room))
        said = [await agent_says(agent, "Welcome back, Sam. How are you?")]
        talking = asyncio.create_task(student.say(ONE))
        said.append(await agent_hears(agent, "student-1", ONE.words))
        await talking
        said.append(await agent_says(agent, "Tell me more, one by one.", json_format=True))
        talking = asyncio.create_task(student.say(TWO))
        said.append(await agent_hears(agent, "student-1", TWO.words))
        await talking
        await until(lambda: rig.stack.journaled(TWO.words))
    return rows("an agent's text streams", await rig.stack.completed(room), said)


async def broken_off(rig: Rig) -> list[Row]:
    """An agent goes in the middle of a sentence, and before it has the final form of another's."""
    room = new_room()
    async with rig.stack.joining(room, "student-1"):
        async with rig.stack.joining(room, "counselor-ai", kind="agent") as agent:
            await until(lambda: rig.stack.log("recording_began", room=room))
            heard = await agent_hears(agent, "student-1", "I have been thinking about it", final=False)
            own = await agent_says(agent, "Let me expl", final=False)
            await asyncio.sleep(1)
        await until(lambda: rig.stack.journaled("Let me expl"))
    return rows("broken off", await rig.stack.completed(room), [heard, own])


async def agent_gone(rig: Rig) -> list[Row]:
    """An agent that sent someone's words leaves; Whisper hears what they say from then on."""
    room = new_room()
    async with rig.stack.joining(room, "student-1") as student:
        await until(lambda: rig.stack.log("recording_began", room=room))
        async with rig.stack.joining(room, "counselor-ai", kind="agent") as agent:
            talking = asyncio.create_task(student.say(ONE))
            said = [await agent_hears(agent, "student-1", ONE.words)]
            await talking
        await until(lambda: rig.stack.log("participant_left", room=room))
        said.append(Said("student-1", TWO.words, line("", TWO, await student.say(TWO)).begin))
    return rows("after the agent left", await rig.stack.completed(room), said)


async def beside(rig: Rig) -> list[Row]:
    """A person's program sends something else than they say: they are heard all the same."""
    room = new_room()
    async with rig.stack.joining(room, "student-1") as student:
        await until(lambda: rig.stack.hears(room, 1))
        told = Said("student-1", "I promise to do it all.", datetime.now(UTC))
        await student.send("transcript", {"text": told.text})
        said = [told]
        for speech in (ONE, TWO):
            said.append(Said("student-1", speech.words, line("", speech, await student.say(speech)).begin))
            await asyncio.sleep(1)
    return rows("a person's own words and what they say", await rig.stack.completed(room), said)


async def died(rig: Rig) -> list[Row]:
    """An agent sends what it says, and then, though it goes on speaking, nothing more."""
    room = new_room()
    async with (
        rig.stack.joining(room, "student-1"),
        rig.stack.joining(room, "counselor-ai", kind="agent") as agent,
    ):
        await until(lambda: rig.stack.hears(room, 2))
        said = []
        for speech in (ONE, TWO, THREE):
            spoken = await agent.say(speech)
            said.append(Said("counselor-ai", speech.words, line("", speech, spoken).begin))
            if speech is ONE:
                message = {"text": ONE.words, "timestamp": spoken.begin.isoformat()}
                await agent.send("transcript", message)
                await until(lambda: rig.stack.journaled(ONE.words))
                said[-1] = Said("counselor-ai", ONE.words, spoken.begin)
            await asyncio.sleep(1)
        await until(lambda: len(rig.stack.log("utterance_recognised", room=room)) >= 2)
    return rows("an agent whose recogniser dies", await rig.stack.completed(room), said)


async def early(rig: Rig) -> list[Row]:
    """Someone who publishes nothing sends from the moment of joining, before LiveKit tells of them."""
    room = new_room()
    async with rig.stack.joining(room, "counselor-1"):
        await until(lambda: rig.stack.log("recording_began", room=room))
        await asyncio.sleep(3)
        async with rig.stack.joining(room, "student-1", microphone=False) as student:
            said = []
            for number in range(8):
                text = f"This is line number {number}."
                said.append(Said("student-1", text, datetime.now(UTC)))
                await student.room.local_participant.send_text(text, topic="lk.transcription")
                await asyncio.sleep(0.1)
            await until(lambda: rig.stack.journaled(said[0].text))
            await until(lambda: rig.stack.journaled(said[-1].text))
    return rows("sent at once after joining", await rig.stack.completed(room), said)


async def agent_says(agent: Caller, text: str, *, final: bool = True, json_format: bool = False) -> Said:
    """As an agent's own speech is sent: one stream that grows with it."""
    began = datetime.now(UTC)
    output = AgentOutput(agent.room, participant=agent.identity, json_format=json_format)
    for word in re.findall(r"\S+ ?", text):
        await output.capture_text(word)
        await asyncio.sleep(0.2)
    if final:
        output.flush()
        await output.aclose()
    return Said(agent.identity, text, began)


async def agent_hears(agent: Caller, identity: str, text: str, *, final: bool = True) -> Said:
    """As a user's transcript is forwarded: a stream for every interim, each with all the text so far."""
    began = datetime.now(UTC)
    output = AgentOutput(agent.room, is_delta_stream=False, participant=identity)
    words = text.split(" ")
    for count in range(1, len(words) + 1):
        await output.capture_text(" ".join(words[:count]))
        await asyncio.sleep(0.25)
    if final:
        output.flush()
        await output.aclose()
    return Said(identity, text, began)


def rows(case: str, record: Mapping[str, Any], said: Sequence[Said]) -> list[Row]:
    """The utterances and their order beside those that were sent, and how far their beginnings are off."""
    written = [(entry["identity"], plain(entry["text"])) for entry in record["transcript"]]
    expected = [(one.identity, plain(one.text)) for one in said]
    wrong = len(set(written) ^ set(expected)) + abs(len(written) - len(expected))
    in_order = written == expected
    found = [
        Row(
            case,
            f"{len(expected)} utterances in order",
            f"{len(written)} {'in order' if in_order else 'in another order'}",
            f"{wrong} wrong",
            in_order,
        )
    ]
    if in_order:
        off = [
            abs(datetime.fromisoformat(entry["timestamp"]) - one.began)
            for entry, one in zip(record["transcript"], said, strict=True)
        ]
        worst = max(off)
        error = f"{worst.total_seconds():.2f} s at most"
        found.append(Row(f"{case}: begin", "when it was said or sent", "timestamp", error, worst <= LATE))
    return found


CASES = [
    Case("own words, messages", 40, messages),
    Case("own words, text streams", 45, streams),
    Case("own words, broken off", 20, broken_off),
    Case("own words, agent gone", 30, agent_gone),
    Case("own words, early", 25, early),
    Case("own words, a person's", 30, beside),
    Case("own words, recogniser dies", 60, died),
]
