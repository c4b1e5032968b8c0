"""The database is away for minutes, and rooms end, begin and go on meanwhile."""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from itertools import pairwise

from bench.disasters.judging import judged
from bench.disasters.people import Conversation, conversing
from bench.disasters.rig import Rig, session_of
from bench.disasters.rows import Row, at_most, count
from bench.disasters.strikes import listened_to, start_database
from bench.stack import new_room, until

SAVED_WITHIN = 30.0  # s after the database's return
BETWEEN_ENDS = 2.0  # s: in which order they ended is beyond doubt
TALK_SECONDS = 4.0
FINISHED_SECONDS = 120.0


async def database_away(rig: Rig, seconds: float, rooms: int, say: Callable[[str], None]) -> list[Row]:
    """One room begins before and ends after; `rooms` end meanwhile, half of them begun meanwhile, too.

    Not all at a time: the clients alone would keep two cores busy.

    It is away for so long, or until all of these are over.
    """
    await rig.worker()
    async with AsyncExitStack() as through, AsyncExitStack() as ending:
        lasting = await _begun(rig, through)
        stacks = [await ending.enter_async_context(AsyncExitStack()) for _ in range(rooms)]
        before, meanwhile = stacks[: rooms // 2], stacks[rooms // 2 :]
        talks = [await _begun(rig, stack) for stack in before]
        await asyncio.to_thread(rig.postgres.stop, immediate=True)
        away_since = datetime.now(UTC)
        await _talk_and_end(before)
        talks += [await _begun(rig, stack) for stack in meanwhile]
        await _talk_and_end(meanwhile)
        await until(lambda: all(_over(rig, talk) for talk in talks), within=FINISHED_SECONDS)
        passed = (datetime.now(UTC) - away_since).total_seconds()
        say(f"  {rooms} rooms are over after {passed:.0f} s without a database")
        await asyncio.sleep(max(seconds - passed, 0))
        away = (datetime.now(UTC) - away_since).total_seconds()
        await start_database(rig, away=0)
        back_at = datetime.now(UTC)
        await asyncio.sleep(TALK_SECONDS)
    case = f"database away for {away:.0f} s, {rooms} rooms ended"
    return await _rows(rig, case, lasting, talks, back_at)


async def _rows(
    rig: Rig, case: str, lasting: Conversation, talks: Sequence[Conversation], back_at: datetime
) -> list[Row]:
    judgement = await judged(rig, case, [lasting.truth, *(talk.truth for talk in talks)])
    saved = [_saved_at(rig, talk) for talk in talks]  # in the order in which they ended
    times = [at for at in saved if at is not None]
    swapped = sum(1 for one, other in pairwise(times) if one > other)
    late = [(at - back_at).total_seconds() for at in times]
    return [
        count(case, "brought in from the disk", len(talks), len(times)),
        at_most(case, "saved after its return", SAVED_WITHIN, late),
        count(case, "saved in another order than they ended", 0, swapped),
        *judgement,
    ]


async def _begun(rig: Rig, stack: AsyncExitStack) -> Conversation:
    """A room that is recorded, and talks until its stack is closed."""
    talk = await stack.enter_async_context(conversing(rig, new_room()))
    await listened_to(rig, talk.room)
    await stack.enter_async_context(talk.talking())
    return talk


async def _talk_and_end(stacks: Sequence[AsyncExitStack]) -> None:
    await asyncio.sleep(TALK_SECONDS)
    for stack in stacks:
        await stack.aclose()
        await asyncio.sleep(BETWEEN_ENDS)


def _over(rig: Rig, talk: Conversation) -> bool:
    return bool(rig.log("session_finished", room=talk.room))


def _saved_at(rig: Rig, talk: Conversation) -> datetime | None:
    lines = rig.log("spool_replayed", session_id=str(session_of(talk.room)))
    return lines[0]["at"] if lines else None
