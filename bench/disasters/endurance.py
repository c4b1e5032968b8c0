"""Hundreds of rooms one after another through one worker, and what it keeps of them."""

import asyncio
import os
import signal
from collections.abc import Callable
from dataclasses import dataclass

import psutil

from bench.disasters.counted_worker import EVENT
from bench.disasters.judging import judged
from bench.disasters.people import Truth, conversing
from bench.disasters.rig import Rig, Worker
from bench.disasters.rows import Row, at_most, count
from bench.disasters.strikes import listened_to
from bench.procfs import read_pss
from bench.stack import new_room, until

GROWTH = 5.0  # percent of the memory after the first rooms
SETTLED_LOOKS = 5  # with the same number of processes, a second apart
SETTLING_SECONDS = 120.0
TOLD_EVERY = 25
POOL_THREADS = (os.cpu_count() or 1) + 4  # asyncio's own pool, which fills up and stays


@dataclass(frozen=True)
class Weight:
    """What an idle worker has, its warm job processes included. Open files are its main process's own."""

    megabytes: float
    processes: int
    files: int
    threads: int
    tasks: int


async def one_after_another(
    rig: Rig, rooms: int, first: int, say: Callable[[str], None], *, growth: float = GROWTH
) -> list[Row]:
    """What it weighs after all of them, compared with after the first ones."""
    case = f"{rooms} rooms through one worker"
    worker = await rig.worker("bench.disasters.counted_worker")
    truths: list[Truth] = []
    before: Weight | None = None
    for number in range(1, rooms + 1):
        truths.append(await _one_room(rig))
        if number == first:
            before = await _weight(worker)
            say(f"  after {number} rooms: {before}")
        elif number % TOLD_EVERY == 0:
            say(f"  {number} of {rooms} rooms, {read_pss(worker.pid):.0f} MB")
    assert before is not None
    after = await _weight(worker)
    say(f"  after {rooms} rooms: {after}")
    return [*_compared(case, first, before, after, growth), *await judged(rig, case, truths)]


async def _one_room(rig: Rig) -> Truth:
    """Joined, spoken in, and closed by LiveKit's API as soon as all have left."""
    async with conversing(rig, new_room()) as talk:
        await listened_to(rig, talk.room)
        said = await talk.write()
        await until(lambda: _journaled(rig, said.text))
    await rig.close_rooms([talk.room])
    await until(lambda: rig.log("session_finished", room=talk.room))
    return talk.truth


async def _journaled(rig: Rig, text: str | None) -> bool:
    found = await rig.pool.fetchval("select count(*) from session_events where data ->> 'text' = $1", text)
    return bool(found)


async def _weight(worker: Worker) -> Weight:
    """Once it is idle again: ended jobs are gone, and warm processes stand in for them."""
    process, looks = psutil.Process(worker.pid), [0]
    async with asyncio.timeout(SETTLING_SECONDS):
        while len(set(looks[-SETTLED_LOOKS:])) > 1 or len(looks) <= SETTLED_LOOKS:
            await asyncio.sleep(1)
            looks.append(len(process.children(recursive=True)))
    told = len(worker.log(EVENT))
    os.kill(worker.pid, signal.SIGUSR1)
    line = (await until(lambda: worker.log(EVENT)[told:]))[0]
    return Weight(read_pss(worker.pid), looks[-1] + 1, process.num_fds(), line["threads"], line["tasks"])


def _compared(case: str, first: int, before: Weight, after: Weight, growth: float) -> list[Row]:
    grown = 100 * (after.megabytes - before.megabytes) / before.megabytes
    memory = Row(
        case,
        f"memory, of that after the first {first}",
        f"<= +{growth:g} %",
        f"{before.megabytes:.0f} -> {after.megabytes:.0f} MB ({grown:+.1f} %)",
        grown <= growth,
    )
    return [
        memory,
        count(case, "processes, as after the first", before.processes, after.processes),
        count(case, "open files, as after the first", before.files, after.files),
        at_most(case, "threads", before.threads + POOL_THREADS, [after.threads], unit=""),
        count(case, "tasks, as after the first", before.tasks, after.tasks),
    ]
