"""One session between two real clients, held once; many tests look at what was recorded of it."""

import asyncio
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from agent.demo.caller import Caller
from agent.demo.outbound import Outbound
from agent.demo.script import Line
from bench.speech import line, sentence
from bench.stack import Stack, new_room, until

# Alternately, then both at once, then one more.
TURNS = [("student-1", "0870"), ("counselor-1", "0880")]
AT_ONCE = [("student-1", "0920"), ("counselor-1", "0890")]
BREATH = 1.0  # s; people pause between sentences, and the same person's next one is an utterance of its own
LAST = ("student-1", "0930")


@dataclass
class Conversation:
    """What truly happened, and the record of it."""

    room: str
    record: dict[str, Any]
    log: list[dict[str, Any]]
    lines: list[Line]
    seen: set[str]
    joined_at: dict[str, datetime]  # by identity
    left_at: dict[str, datetime]
    ended_at: datetime  # when session.end was sent
    saved_at: datetime  # when session.saved arrived
    saved: dict[str, Any]
    sent: dict[str, list[tuple[datetime, Outbound]]] = field(default_factory=dict)  # by track_sid

    def sent_between(self, track_sid: str, begin: datetime, end: datetime) -> tuple[Outbound, Outbound]:
        """The publisher's counters nearest to two moments."""
        samples = self.sent[track_sid]
        nearest = [min(samples, key=lambda s, t=moment: abs(s[0] - t)) for moment in (begin, end)]  # type: ignore[misc]
        assert abs(nearest[0][0] - begin) < timedelta(seconds=0.5)
        return nearest[0][1], nearest[1][1]


async def hold(stack: Stack) -> Conversation:
    room = new_room()
    lines: list[Line] = []
    sent: dict[str, list[tuple[datetime, Outbound]]] = {}
    async with AsyncExitStack() as callers:
        student = await callers.enter_async_context(stack.joining(room, "student-1", camera=True))
        counselor = await callers.enter_async_context(stack.joining(room, "counselor-1", camera=True))
        by_identity = {caller.identity: caller for caller in (student, counselor)}
        watching = [asyncio.create_task(_watch(caller, sent)) for caller in by_identity.values()]
        await until(lambda: stack.log("recording_began", room=room))

        async def say(identity: str, number: str) -> None:
            speech = sentence(number)
            lines.append(line(identity, speech, await by_identity[identity].say(speech)))

        for turn in TURNS:
            await say(*turn)
        await asyncio.gather(*(say(*turn) for turn in AT_ONCE))
        await asyncio.sleep(BREATH)
        await say(*LAST)
        ended_at = datetime.now(UTC)
        await student.send("session.end", {})
        message = await student.wait_for_message("session.saved", 90)
        for task in watching:
            task.cancel()
        joined_at = {caller.identity: caller.joined_at for caller in by_identity.values()}
        seen = student.seen | counselor.seen
    return Conversation(
        room=room,
        record=await stack.completed(room),
        log=stack.log(room=room),
        lines=lines,
        seen=seen,
        joined_at=joined_at,
        left_at={caller.identity: caller.left_at or ended_at for caller in by_identity.values()},
        ended_at=ended_at,
        saved_at=message.at,
        saved=message.payload,
        sent=sent,
    )


async def _watch(caller: Caller, sent: dict[str, list[tuple[datetime, Outbound]]]) -> None:
    while True:
        with suppress(ValueError):  # nothing has been sent yet
            for track_sid, outbound in (await caller.outbound_stats()).items():
                sent.setdefault(track_sid, []).append((datetime.now(UTC), outbound))
        await asyncio.sleep(0.25)
