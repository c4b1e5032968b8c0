"""Tracks come and go; words stay with their speaker, once."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

from agent.demo.microphone import Microphone
from bench.speech import plain, sentence, word_error_rate
from bench.stack import new_room, until
from bench.truths.case import Case, Rig, Row

ONE, TWO, THREE, FOUR = (sentence(number) for number in ("0890", "0920", "0930", "0870"))


async def mute(rig: Rig) -> list[Row]:
    """Muted and unmuted in the middle; what is said meanwhile nobody hears."""
    room = new_room()
    async with rig.stack.joining(room, "student-1") as student:
        await _heard(rig, room, 1)
        await student.say(ONE)
        student.mute("microphone")
        await student.say(FOUR)
        await asyncio.sleep(1)
        student.unmute("microphone")
        await student.say(TWO)
    return rows("muted and unmuted", await rig.stack.completed(room), {"student-1": [ONE.words, TWO.words]})


async def republish(rig: Rig) -> list[Row]:
    """The microphone is taken away as soon as the sentence is over, and published again."""
    room = new_room()
    async with rig.stack.joining(room, "student-1") as student:
        await _heard(rig, room, 1)
        await student.say(ONE)
        await student.unpublish("microphone")
        await asyncio.sleep(1)
        await student.publish(Microphone())
        await _heard(rig, room, 2)
        await student.say(TWO)
    record = await rig.stack.completed(room)
    return rows("unpublished, republished", record, {"student-1": [ONE.words, TWO.words]})


async def devices(rig: Rig) -> list[Row]:
    """48 kHz, then a headset with 16 kHz, then one with two channels."""
    room = new_room()
    async with rig.stack.joining(room, "student-1") as student:
        await _heard(rig, room, 1)
        await student.say(ONE)
        others = (Microphone(sample_rate=16_000), TWO), (Microphone(channels=2), THREE)
        for number, (device, said) in enumerate(others, start=2):
            await student.unpublish("microphone")
            await student.publish(device)
            await _heard(rig, room, number)
            await student.say(said)
    record = await rig.stack.completed(room)
    return rows("48 kHz, 16 kHz, stereo", record, {"student-1": [ONE.words, TWO.words, THREE.words]})


async def rejoin(rig: Rig) -> list[Row]:
    """The same identity leaves and comes back, as a new participant; somebody else stays."""
    room = new_room()
    async with rig.stack.joining(room, "counselor-1") as counselor:
        async with rig.stack.joining(room, "student-1") as student:
            await _heard(rig, room, 2)
            await student.say(ONE)
        await counselor.say(THREE)
        async with rig.stack.joining(room, "student-1") as student:
            await _heard(rig, room, 3)
            await student.say(TWO)
    record = await rig.stack.completed(room)
    said = {"student-1": [ONE.words, TWO.words], "counselor-1": [THREE.words]}
    stays = sum(1 for stay in record["participants"] if stay["identity"] == "student-1")
    return [
        *rows("left and came back", record, said),
        Row("left and came back", "2 stays", f"{stays} stays", str(abs(stays - 2)), stays == 2),
    ]


async def screen_share(rig: Rig) -> list[Row]:
    """A film on a shared screen talks while its owner does."""
    room = new_room()
    async with rig.stack.joining(room, "student-1") as student:
        await _heard(rig, room, 1)
        film = Microphone(kind="screen_share_audio")
        await student.publish(film)
        await asyncio.sleep(1)  # a gap of a film is not noted
        await asyncio.gather(student.say(FOUR), student.say(TWO, "screen_share_audio"))
        await student.unpublish("screen_share_audio")
        await student.say(ONE)
    record = await rig.stack.completed(room)
    said = {"student-1": [FOUR.words, ONE.words], "student-1, screen_share_audio": [TWO.words]}
    return rows("screen share with sound", record, said)


def rows(case: str, record: Mapping[str, Any], said: Mapping[str, Sequence[str]]) -> list[Row]:
    """For each voice, what it said beside what is written. A voice is an identity, or one and its track."""
    heard: dict[str, list[str]] = {voice: [] for voice in said}
    for entry in record["transcript"]:
        voice = entry["identity"] + (f", {entry['track']}" if "track" in entry else "")
        heard.setdefault(voice, []).append(entry["text"])
    return [_row(case, voice, said.get(voice, []), texts) for voice, texts in heard.items()]


def _row(case: str, voice: str, said: Sequence[str], heard: Sequence[str]) -> Row:
    count, recorded = (len(plain(" ".join(texts)).split()) for texts in (said, heard))
    if not said:
        return Row(case, f"{voice}: no words", f"{recorded} words", f"{recorded} too many", holds=False)
    wrong = 100 * word_error_rate(said, heard)
    return Row(case, f"{voice}: {count} words", f"{recorded} words", f"WER {wrong:.1f} %", wrong <= 1)


async def _heard(rig: Rig, room: str, microphones: int) -> None:
    """What is said before the recorder hears them, in all so many by now, is the case `first words`."""
    await until(lambda: rig.stack.hears(room, microphones))


CASES = [
    Case("mute", 40, mute),
    Case("republish", 30, republish),
    Case("devices", 40, devices),
    Case("rejoin", 45, rejoin),
    Case("screen share", 40, screen_share),
]
