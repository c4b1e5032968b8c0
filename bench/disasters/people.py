"""Two people in a room, who talk and remember exactly what they did.

The student's words go out as text, each different: which of them are in the record can be told exactly. The
counselor speaks aloud, sentences with silence between: what was heard of them is told by the times. Both have
a microphone: of someone who publishes nothing LiveKit tells the others up to 3 s late.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

from livekit.rtc.participant import PublishDataError

from agent.demo.caller import Caller
from agent.demo.microphone import SAMPLE_RATE
from agent.demo.sfu_api import Stay as Listed
from agent.demo.sfu_api import who_is_there
from agent.demo.speech import Speech
from agent.session.events import milliseconds
from bench.disasters.rig import Rig
from bench.speech import line, sentence
from bench.stack import until

STUDENT, COUNSELOR = "student-1", "counselor-1"
WRITES_EVERY = 0.7  # s between the student's texts
BREATH = 1.5  # s between the counselor's sentences: more than what is cut into one utterance
SENTENCES = ("0880", "0930")
ON_TIME = timedelta(seconds=0.3)  # a microphone that was held up by a busy machine said something else


@dataclass(frozen=True)
class Said:
    """Without `text`: spoken aloud."""

    identity: str
    begin: datetime
    end: datetime
    text: str | None = None


@dataclass
class Stay:
    """As the client itself knows it; LiveKit tells everyone the same `joined_at`."""

    identity: str
    participant_sid: str
    joined_at: datetime
    left_at: datetime | None = None


@dataclass
class Truth:
    """What happened in one room. `stuttered`: sentences that the speaker's own machine garbled."""

    room: str
    said: list[Said] = field(default_factory=list)
    stays: list[Stay] = field(default_factory=list)
    stuttered: int = 0


class Conversation:
    """One room with a student and a counselor in it."""

    def __init__(self, truth: Truth, student: Caller, counselor: Caller) -> None:
        self.truth = truth
        self.room = truth.room
        self.student, self.counselor = student, counselor
        self._texts = 0

    async def write(self) -> Said:
        """The student says something new, as text. Raises when LiveKit does not take it."""
        self._texts += 1
        began = milliseconds(datetime.now(UTC))
        text = f"Sentence {self._texts} in {self.room}."
        await self.student.room.local_participant.send_text(text, topic="lk.transcription")
        said = Said(STUDENT, began, began, text)
        if self.student.connected:
            self.truth.said.append(said)
        return said

    async def speak(self, speech: Speech) -> Said:
        """The counselor says a sentence aloud."""
        connected, cut_offs = self.counselor.connected, self.counselor.cut_offs
        spoken = await self.counselor.say(_resampled(speech))
        words = line(COUNSELOR, speech, spoken)
        said = Said(COUNSELOR, words.begin, words.end)
        if not connected or self.counselor.cut_offs > cut_offs:
            pass  # to nobody: they are on their way back to the room
        elif datetime.now(UTC) - spoken.end > ON_TIME:
            self.truth.stuttered += 1
        else:
            self.truth.said.append(said)
        return said

    @asynccontextmanager
    async def talking(self, *, aloud: bool = True) -> AsyncIterator[None]:
        """Both talk until the end of the context; a sentence begun is finished."""
        enough = asyncio.Event()
        async with asyncio.TaskGroup() as both:
            both.create_task(self._keep_writing(enough))
            if aloud:
                both.create_task(self._keep_speaking(enough))
            try:
                yield
            finally:
                enough.set()

    async def _keep_writing(self, enough: asyncio.Event) -> None:
        while not enough.is_set():
            with suppress(PublishDataError, TimeoutError):  # LiveKit's server is away: it was not said
                await self.write()
            await asyncio.sleep(WRITES_EVERY)

    async def _keep_speaking(self, enough: asyncio.Event) -> None:
        number = 0
        while not enough.is_set():
            await self.speak(_sentence(SENTENCES[number % len(SENTENCES)]))
            number += 1
            await asyncio.sleep(BREATH)


@cache
def _resampled(speech: Speech) -> Speech:
    """Once: it is work enough to hold up the microphones of other rooms."""
    return speech.at(SAMPLE_RATE)


_sentence = cache(sentence)


@asynccontextmanager
async def conversing(rig: Rig, room: str) -> AsyncIterator[Conversation]:
    """Both join; both leave at the end."""
    truth = Truth(room)
    options: dict[str, Any] = {"auto_subscribe": False}
    async with AsyncExitStack() as stack:
        student = await stack.enter_async_context(rig.joining(room, STUDENT, **options))
        counselor = await stack.enter_async_context(rig.joining(room, COUNSELOR, **options))
        callers = [student, counselor]
        truth.stays += [Stay(caller.identity, caller.sid, caller.joined_at) for caller in callers]
        yield Conversation(truth, student, counselor)
    for caller in callers:
        last = [stay for stay in truth.stays if stay.identity == caller.identity][-1]
        last.left_at = last.left_at or caller.left_at


async def note_who_came_back(rig: Rig, truth: Truth, cut_off_at: datetime) -> None:
    """LiveKit's server was restarted: everybody in the room has a new stay, of which the server tells.

    A client's own participant sid is still that of the old stay (livekit 1.1).
    """
    at = rig.sfu.address
    identities = {stay.identity for stay in truth.stays}
    old = {stay.participant_sid for stay in truth.stays}

    new: list[Listed] = []

    async def back() -> bool:
        listed = await who_is_there(at.url, at.api_key, at.api_secret, truth.room)
        new[:] = [
            one
            for one in listed
            if one.active and one.identity in identities and one.participant_sid not in old
        ]
        return {one.identity for one in new} == identities

    with suppress(TimeoutError):  # a client that gave up was there until then
        await until(back)
    for stay in truth.stays:
        stay.left_at = stay.left_at or cut_off_at
    for one in new:
        truth.stays.append(Stay(one.identity, one.participant_sid, one.joined_at))
