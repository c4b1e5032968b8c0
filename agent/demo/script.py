"""The demo's conversation, and what truly happened in it."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID, uuid4

from agent.demo.caller import Caller
from agent.demo.lines import COUNSELOR, LINES, STUDENT, load
from agent.demo.sfu_api import create_room

# A conversation's own pace, in seconds. Nothing waits for anything by these.
COUNSELOR_IS_LATE = 5.0
SETTLE_IN = 1.5
BREATH = 0.6
CONNECTION_LOST = 2.0

SAVED_WITHIN = 90.0  # seconds for the last words to be transcribed, also on a small machine, and be saved


@dataclass(frozen=True)
class Line:
    """Something said, and when it could be heard."""

    identity: str
    words: str
    begin: datetime
    end: datetime


@dataclass(frozen=True)
class Stay:
    """`joined_at` as LiveKit tells it; `left_at` by the clock of the one who left."""

    identity: str
    participant_sid: str
    joined_at: datetime
    left_at: datetime


@dataclass
class Played:
    """What a complete record must show. `saved` and `seen` are by identity."""

    session_id: UUID
    lines: list[Line] = field(default_factory=list)
    stays: list[Stay] = field(default_factory=list)
    saved: dict[str, bool] = field(default_factory=dict)
    seen: dict[str, set[str]] = field(default_factory=dict)


async def play(
    sfu_url: str, api_key: str, api_secret: str, room_name: str, say: Callable[[str], None]
) -> Played:
    """Let a student and a counselor talk in this room; `say` is told what happens as it happens.

    A UUID at the end of the room's name becomes the session's id.
    """
    stage = _Stage((sfu_url, api_key, api_secret), room_name, say)
    metadata = {
        "session_id": str(stage.played.session_id),
        "user_id": str(uuid4()),
        "counselor_category": "college",
        "mode": "video",
    }
    await create_room(sfu_url, api_key, api_secret, room_name, metadata)
    async with stage.enter(STUDENT) as student:
        await asyncio.sleep(COUNSELOR_IS_LATE)
        async with stage.enter(COUNSELOR) as counselor:
            await _first_half(stage, student, counselor)
            await stage.leave(student)
            await _line(stage, counselor, "wait")
            await asyncio.sleep(CONNECTION_LOST)
            async with stage.enter(STUDENT) as student_again:
                await _second_half(stage, student_again, counselor)
                await _end(stage, student_again, counselor)
    return stage.played


async def _first_half(stage: "_Stage", student: Caller, counselor: Caller) -> None:
    await asyncio.sleep(SETTLE_IN)
    await _line(stage, counselor, "welcome")
    await _line(stage, student, "biology")
    await _line(stage, counselor, "list")
    await _line(stage, student, "deadline")


async def _second_half(stage: "_Stage", student: Caller, counselor: Caller) -> None:
    await asyncio.sleep(SETTLE_IN)
    await _line(stage, student, "back")
    await _line(stage, counselor, "november")
    async with asyncio.TaskGroup() as both_at_once:
        both_at_once.create_task(_line(stage, student, "essay"))
        both_at_once.create_task(_line(stage, counselor, "letters"))
    await _line(stage, counselor, "story")
    await _line(stage, student, "thanks")
    await _line(stage, counselor, "goodbye")


async def _end(stage: "_Stage", student: Caller, counselor: Caller) -> None:
    stage.say(f"{COUNSELOR} ends the session")
    await counselor.send("session.end", {})
    async with asyncio.TaskGroup() as both:
        for caller in (student, counselor):
            both.create_task(stage.await_saved(caller))


async def _line(stage: "_Stage", caller: Caller, line: str) -> None:
    speaker, words = LINES[line]
    assert speaker == caller.identity, f"{line} is not a line of {caller.identity}"
    stage.say(f"{speaker}: {words}")
    spoken = await caller.say(load(line))
    stage.played.lines.append(Line(speaker, words, spoken.begin, spoken.end))
    await asyncio.sleep(BREATH)


class _Stage:
    """Where the conversation is held, and the notes that are taken of it."""

    def __init__(self, sfu: tuple[str, str, str], room_name: str, say: Callable[[str], None]) -> None:
        self.say = say
        self.played = Played(_session_id(room_name))
        self._sfu = sfu
        self._room_name = room_name

    @asynccontextmanager
    async def enter(self, identity: str) -> AsyncIterator[Caller]:
        """One stay, from its joining to its leave."""
        place, name = (*self._sfu, self._room_name), identity.capitalize()
        async with Caller.joining(*place, identity, name=name, role=identity, camera=True) as caller:
            self.say(f"{identity} joins")
            yield caller
            await self.leave(caller)

    async def leave(self, caller: Caller) -> None:
        """Let the caller hang up, and note its stay; nothing more when it has left already."""
        if any(stay.participant_sid == caller.sid for stay in self.played.stays):
            return
        await caller.leave()
        assert caller.left_at is not None
        self.played.stays.append(Stay(caller.identity, caller.sid, caller.joined_at, caller.left_at))
        self.played.seen.setdefault(caller.identity, set()).update(caller.seen)
        self.say(f"{caller.identity} leaves")

    async def await_saved(self, caller: Caller) -> None:
        """Note whether the recorder tells this caller that the session is saved."""
        try:
            message = await caller.wait_for_message("session.saved", SAVED_WITHIN)
        except TimeoutError:
            self.played.saved[caller.identity] = False
            return
        said = message.payload if isinstance(message.payload, dict) else {}
        self.played.saved[caller.identity] = said.get("session_id") == str(self.played.session_id)
        self.say(f"{caller.identity} reads: {said.get('message')}")


def _session_id(room_name: str) -> UUID:
    try:
        return UUID(room_name[-36:])
    except ValueError:
        return uuid4()
