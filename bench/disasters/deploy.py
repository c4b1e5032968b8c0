"""Two workers are replaced one by one, under load: the new one first, then SIGTERM to an old one."""

import asyncio
import signal
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime

from bench.disasters.judging import judged
from bench.disasters.load import Load
from bench.disasters.people import Truth
from bench.disasters.rig import Rig, Worker
from bench.disasters.rows import Row, at_most, count
from bench.stack import until

RECORDED_WITHIN = 5.0  # s after the first participant joined
DRAINED_SECONDS = 300.0
OLD_WORKERS = 2
PROMISE = "recorded, after somebody was there"


async def rolling_deploy(
    rig: Rig,
    rooms: int,
    at_a_time: int,
    seconds: float,
    seed: int,
    say: Callable[[str], None],
    *,
    workers: int = OLD_WORKERS,
) -> list[Row]:
    """Rooms come and go all the while; each has one recorder from beginning to end."""
    old = await rig.start_workers(workers)
    load = Load(rig, rooms, at_a_time, seconds, seed, say)
    async with asyncio.TaskGroup() as both:
        both.create_task(load.run())
        await until(lambda: len(load.live) >= min(at_a_time, rooms))
        busy = sum(1 for worker in old if worker.log("recording_began"))
        began = datetime.now(UTC)
        for worker in old:
            await _replace(rig, worker)
            say(f"  {worker.name} drains, its successor is there")
        drained = await _drained(old)
        until_over = datetime.now(UTC)
    case = f"{workers} worker{'s' * (workers > 1)} replaced, {rooms} rooms"
    registered = await rig.pool.fetchval("select count(*) from workers")
    meanwhile = [t for t in load.truths if any(began < stay.joined_at < until_over for stay in t.stays)]
    recorders = [len(rig.log("recording_began", room=truth.room)) for truth in load.truths]
    return [
        count(case, "old workers that had rooms when it began", workers, busy),
        Row(case, "rooms that began meanwhile", "> 0", str(len(meanwhile)), bool(meanwhile)),
        at_most(case, PROMISE, RECORDED_WITHIN, [_late(rig, t) for t in load.truths]),
        count(case, "rooms with another number of recorders than 1", 0, sum(n != 1 for n in recorders)),
        count(case, "old workers that ended in good order", workers, drained),
        count(case, "workers registered afterwards", workers, registered),
        *await judged(rig, case, load.truths),
    ]


async def _replace(rig: Rig, worker: Worker) -> None:
    """The new one is ready before the old one is told to end."""
    await rig.worker()
    worker.process.send(signal.SIGTERM)
    await until(lambda: worker.log("draining"))


async def _drained(workers: list[Worker]) -> int:
    """How many have ended by themselves."""
    with suppress(TimeoutError):
        await until(lambda: not any(worker.process.running for worker in workers), within=DRAINED_SECONDS)
    return sum(not worker.process.running for worker in workers)


def _late(rig: Rig, truth: Truth) -> float:
    there = min(stay.joined_at for stay in truth.stays)
    began: datetime = rig.log("recording_began", room=truth.room)[0]["at"]
    return (began - there).total_seconds()
