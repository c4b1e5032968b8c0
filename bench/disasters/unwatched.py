"""Rooms that begin while nobody can come: no worker runs, or LiveKit sends them to one that hangs."""

import asyncio
import os
import signal
from collections.abc import Iterator, Sequence
from contextlib import AsyncExitStack, contextmanager

from bench.disasters.judging import judged
from bench.disasters.people import Conversation, conversing
from bench.disasters.rig import Rig, Worker
from bench.disasters.rows import Row, at_most
from bench.disasters.strikes import listened_to
from bench.stack import new_room

WITHIN_SECONDS = 5.0  # of a healthy worker being there
TALK_SECONDS = 4.0
PROMISE = "recorded, after a healthy worker was there"


async def no_worker(rig: Rig, rooms: int) -> list[Row]:
    """They begin first, and the worker is started then."""
    case = f"{rooms} rooms began while no worker ran"
    async with AsyncExitStack() as stack:
        talks = await _all_join(rig, stack, rooms)
        worker = await rig.worker()
        ready = worker.log("worker_ready")[0]["at"]
        late = [(await listened_to(rig, talk.room) - ready).total_seconds() for talk in talks]
        await _talk(talks)
    await rig.close_rooms(talk.room for talk in talks)
    return [
        at_most(case, PROMISE, WITHIN_SECONDS, late),
        *await judged(rig, case, [talk.truth for talk in talks]),
    ]


async def hung_worker(rig: Rig, rooms: int) -> list[Row]:
    """One worker hangs beside a healthy one: LiveKit goes on sending it rooms."""
    case = f"{rooms} rooms began beside a hung worker"
    hung, _ = await rig.start_workers(2)
    with stopped(hung):
        return await _beside(rig, case, rooms)


async def hung_while_acting(rig: Rig, rooms: int) -> list[Row]:
    """It hangs at the very moment when it compares rooms with recorders, on behalf of all workers."""
    case = f"{rooms} rooms began beside one that hung while it acted"
    hung, _ = await rig.start_workers(2)
    with rig.wire.holding("held_sessions", answer=True, whose=lambda pid: pid == hung.pid) as held:
        await held.reached()
        with stopped(hung):
            held.let_go()
            return await _beside(rig, case, rooms)


@contextmanager
def stopped(worker: Worker) -> Iterator[None]:
    """Its main process does nothing meanwhile; its jobs go on."""
    os.kill(worker.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(worker.pid, signal.SIGCONT)


async def _beside(rig: Rig, case: str, rooms: int) -> list[Row]:
    async with AsyncExitStack() as stack:
        talks = await _all_join(rig, stack, rooms)
        began = [min(stay.joined_at for stay in talk.truth.stays) for talk in talks]
        late = [
            (await listened_to(rig, talk.room) - at).total_seconds()
            for talk, at in zip(talks, began, strict=True)
        ]
        await _talk(talks)
    await rig.close_rooms(talk.room for talk in talks)
    return [
        at_most(case, PROMISE, WITHIN_SECONDS, late),
        *await judged(rig, case, [talk.truth for talk in talks]),
    ]


async def _all_join(rig: Rig, stack: AsyncExitStack, rooms: int) -> list[Conversation]:
    return [await stack.enter_async_context(conversing(rig, new_room())) for _ in range(rooms)]


async def _talk(talks: Sequence[Conversation]) -> None:
    """A few words in each, to see that they are really recorded."""
    async with AsyncExitStack() as talking:
        for talk in talks:
            await talking.enter_async_context(talk.talking())
        await asyncio.sleep(TALK_SECONDS)
