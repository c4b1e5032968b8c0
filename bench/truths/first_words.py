"""Someone who talks from the instant of joining: what is lost, and what the record says of it."""

import asyncio
import io
import wave
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import httpx2
import numpy as np

from agent.demo.caller import Caller
from agent.demo.microphone import Microphone
from agent.demo.speech import Speech
from bench.speech import WORDS, loud_part, plain, sentence, word_error_rate
from bench.stack import new_room, until
from bench.truths.case import Case, Rig, Row

_WITH_TIMES = {"response_format": "verbose_json", "timestamp_granularities[]": "word"}
GAP_SECONDS = 0.2  # how far a gap's length may be off


class Word(NamedTuple):
    """A word and the second of the monologue at which it begins."""

    text: str
    begins: float


class Talk(NamedTuple):
    """What was said, when its first sample and its last sound went out, and when the first packet did."""

    words: Sequence[Word]
    began: datetime
    ended: datetime
    sent: datetime


async def to_a_recorder(rig: Rig) -> list[Row]:
    """Who joins a room that is recorded already."""
    room = new_room()
    async with rig.stack.joining(room, "counselor-1", microphone=False):
        await until(lambda: rig.stack.log("recording_began", room=room))
        await asyncio.sleep(1)
        talk = await talk_at_once(rig, room)
    return rows("first words", await rig.stack.completed(room), talk)


async def to_nobody(rig: Rig) -> list[Row]:
    """Who joins first: LiveKit sends for a recorder when the room begins."""
    room = new_room()
    talk = await talk_at_once(rig, room)
    return rows("first words of the first", await rig.stack.completed(room), talk)


async def talk_at_once(rig: Rig, room: str) -> Talk:
    """Join with a microphone that is in the middle of a monologue when it is published."""
    speeches = monologue()
    words, speech = await timed_words(rig.whisper_url, speeches), joined(speeches)
    microphone = Microphone()
    talking = asyncio.create_task(microphone.say(speech))
    await asyncio.sleep(1)  # until it is made ready; it is said from when the microphone is started
    async with rig.stack.joining(room, "student-1", microphone=False) as student:
        sending = asyncio.create_task(_first_packet(student))
        await student.publish(microphone)
        spoken, sent = await talking, await sending
    return Talk(words, spoken.begin - timedelta(seconds=speech.lead), spoken.end, sent)


def rows(case: str, record: Mapping[str, Any], talk: Talk) -> list[Row]:
    """The words after the gap, and the gap's length beside the time nobody heard.

    Samples are contiguous from the first that was heard on. So the recorder's clock is as far off at that
    sample as at the last one, of which the truth is known.
    """
    entries = [entry for entry in record["transcript"] if entry["identity"] == "student-1"]
    gaps = [gap for gap in record["gaps"] if gap.get("identity") == "student-1"]
    if len(gaps) != 1 or not entries:
        return [Row(case, "1 gap", f"{len(gaps)} gaps, {len(entries)} utterances", "", holds=False)]
    since, heard = (datetime.fromisoformat(gaps[0][name]) for name in ("from", "until"))
    off = datetime.fromisoformat(entries[-1]["end"]) - talk.ended
    truth, recorded = ((heard - off - talk.sent).total_seconds(), (heard - since).total_seconds())
    cut = (heard - off - talk.began).total_seconds()
    first = sum(1 for word in talk.words if word.begins < cut)
    # The words next to the cut may be misunderstood, or not understood at all.
    heard_words = plain(" ".join(entry["text"] for entry in entries)).split()
    rests = [[word.text for word in talk.words[max(first - more, 0) :]] for more in (1, 0, -1, -2)]
    wrong, left_out = min(
        (100 * word_error_rate(rest, heard_words[skipped:]), len(talk.words) - len(rest))
        for rest in rests
        for skipped in (0, 1, 2)
    )
    error = abs(truth - recorded)
    return [
        Row(
            f"{case}, after the gap",
            f"{len(talk.words) - left_out} of {len(talk.words)} words",
            f"{len(heard_words)} words",
            f"WER {wrong:.1f} %",
            wrong <= 1,
        ),
        Row(
            f"{case}, gap",
            f"{truth:.2f} s unheard",
            f"{recorded:.2f} s, {gaps[0]['reason']}",
            f"{error:.2f} s",
            error <= GAP_SECONDS,
        ),
    ]


def monologue() -> list[Speech]:
    """Talking from the first sample on, and as people talk from then on."""
    first, *others = (sentence(name.removeprefix("austen-")) for name in WORDS)
    words_begin = round(loud_part(first)[0] * first.sample_rate)
    return [Speech.of(first.samples[words_begin:], first.sample_rate, first.words), *others]


def joined(speeches: Sequence[Speech]) -> Speech:
    return Speech.of(np.concatenate([speech.samples for speech in speeches]), 16_000)


async def timed_words(whisper_url: str, speeches: Sequence[Speech]) -> list[Word]:
    """When each word of the monologue is said, as Whisper tells from the files."""
    found: list[Word] = []
    before = 0.0
    async with httpx2.AsyncClient(timeout=120) as client:
        for speech in speeches:
            answer = await client.post(
                f"{whisper_url}/audio/transcriptions",
                data={"model": "base", "language": "en", **_WITH_TIMES},
                files={"file": ("speech.wav", _wav(speech), "audio/wav")},
            )
            for one in answer.raise_for_status().json()["words"]:
                found += [Word(word, before + one["start"]) for word in plain(one["word"]).split()]
            before += speech.duration
    said = [speech.words for speech in speeches]
    assert word_error_rate(said, [word.text for word in found]) == 0, "Whisper does not know the files"
    return found


def _wav(speech: Speech) -> bytes:
    file = io.BytesIO()
    with wave.open(file, "wb") as writer:
        writer.setnchannels(1)
        writer.setsampwidth(2)
        writer.setframerate(speech.sample_rate)
        writer.writeframes(speech.samples.tobytes())
    return file.getvalue()


async def _first_packet(caller: Caller) -> datetime:
    """When the first packet with sound went out."""

    async def sent() -> bool:
        return any(one.packets_sent for one in (await caller.outbound_stats()).values())

    await until(sent, every=0.01)
    return datetime.now(UTC)


CASES = [Case("first words", 50, to_a_recorder), Case("first words of the first", 50, to_nobody)]
