"""Many rooms, and somebody dies every few seconds."""

import asyncio
import os
import random
import signal
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal, get_args

from bench.disasters.judging import judged
from bench.disasters.load import Load
from bench.disasters.rig import Rig, Worker
from bench.disasters.rows import Row, at_most, broken
from bench.disasters.strikes import (
    job_of,
    kill_sfu,
    kill_whisper,
    kill_worker,
    listened_to,
    start_database,
    worker_of,
)
from bench.disasters.verdict import Loss
from bench.quantiles import share_of
from bench.stack import until

Say = Callable[[str], None]
Blow = Literal["job", "worker", "worker alone", "PostgreSQL", "Whisper", "SFU", "pause"]
HOW_OFTEN: dict[Blow, int] = {
    "job": 6,
    "worker": 2,
    "worker alone": 1,
    "PostgreSQL": 2,
    "Whisper": 1,
    "SFU": 1,
    "pause": 1,
}
BREATHERS = (1.0, 4.0)  # s between two blows
MEDIAN_SECONDS, MOST_SECONDS = 5.0, 10.0  # from a kill to a new recorder listening: p50, p95
PAUSED_SECONDS = 15.0  # the same for a host that only stopped: nobody tells that it did


@dataclass(frozen=True)
class Plan:
    """`pause`: how long a paused host stands still."""

    rooms: int
    at_a_time: int
    seconds: float
    pause: float
    seed: int


class Blows:
    """Strikes one thing after another, and notes for each room when nobody listened."""

    def __init__(self, rig: Rig, load: Load, plan: Plan, say: Say) -> None:
        self._rig, self._load, self._plan, self._say = rig, load, plan, say
        self._random = random.Random(plan.seed)
        self._deck: list[Blow] = []
        self.losses: dict[str, list[Loss]] = defaultdict(list)
        self.takeovers: dict[Blow, list[float]] = defaultdict(list)
        self.struck: dict[Blow, int] = defaultdict(int)
        self.failed: list[Row] = []

    async def keep_striking(self) -> None:
        """Until cancelled, which waits for a blow under way."""
        while not self._load.over:
            await asyncio.sleep(self._random.uniform(*BREATHERS))
            blow = self._next()
            if blow == "job" and self._rig.threads:
                blow = "worker"
            try:
                await self._strike(blow)
            except Exception as error:  # the rooms go on all the same, and are judged
                self.failed.append(broken(f"blow: {blow}", error))

    def _next(self) -> Blow:
        """As from a deck of cards: the rare ones come, too, and how often is known."""
        if not self._deck:
            self._deck = [blow for blow in get_args(Blow) for _ in range(HOW_OFTEN[blow])]
            self._random.shuffle(self._deck)
        return self._deck.pop()

    async def _strike(self, blow: Blow) -> None:
        jobs = self._living_jobs()
        if not self._load.live or (blow == "job" and not jobs):
            return
        self._say(f"    {blow}, with {len(self._load.live)} rooms recorded")
        self.struck[blow] += 1
        match blow:
            case "job":
                await self._kill_a_job(jobs)
            case "PostgreSQL":
                await asyncio.to_thread(self._rig.postgres.kill)
                await start_database(self._rig, self._random.uniform(0, 3))
            case "Whisper":
                await kill_whisper(self._rig, self._random.uniform(0, 3))
            case "SFU":
                await self._kill_the_sfu()
            case _:
                await self._strike_a_worker(blow)

    def _living_jobs(self) -> dict[str, int]:
        """The process that writes each room's session; a successor that has not claimed it yet is let be."""
        jobs = {room: job_of(self._rig, room) for room in sorted(self._load.live)}
        return {room: pid for room, pid in jobs.items() if Path(f"/proc/{pid}").exists()}

    async def _kill_a_job(self, jobs: Mapping[str, int]) -> None:
        room = self._random.choice(list(jobs))
        async with self._load.staying([room]):
            killed_at = datetime.now(UTC)
            os.kill(jobs[room], signal.SIGKILL)
            await self._taken_over("job", [room], killed_at)

    async def _strike_a_worker(self, blow: Blow) -> None:
        """Another one is there, and a new one is started at once, as a supervisor would."""
        await until(lambda: len(self._ready()) > 1)  # the one from the last blow may still be starting
        victim = self._random.choice(self._ready())
        rooms = [room for room in self._load.live if worker_of(self._rig, room) is victim]
        for room in self._load.left:
            if worker_of(self._rig, room) is victim:  # may just be saving it
                self.losses[room].append(Loss(datetime.now(UTC), datetime.now(UTC)))
        async with self._load.staying(rooms):
            if blow == "pause":
                await self._pause(victim, rooms)
            else:
                killed_at = kill_worker(self._rig, victim, with_jobs=blow == "worker")
                self._rig.spawn_worker()
                await self._taken_over(blow, rooms, killed_at)

    def _ready(self) -> list[Worker]:
        return [worker for worker in self._rig.workers if worker.ready]

    async def _pause(self, victim: Worker, rooms: list[str]) -> None:
        stopped_at = datetime.now(UTC)
        victim.signal_all(signal.SIGSTOP)
        try:
            await self._taken_over("pause", rooms, stopped_at)
            passed = (datetime.now(UTC) - stopped_at).total_seconds()
            await asyncio.sleep(max(self._plan.pause - passed, 0))
        finally:
            victim.signal_all(signal.SIGCONT)

    async def _kill_the_sfu(self) -> None:
        async with self._load.nobody_joins(), self._load.staying(self._load.live):
            truths = list(self._load.live.values())
            for room, loss in (await kill_sfu(self._rig, truths)).items():
                self.losses[room].append(loss)

    async def _taken_over(self, blow: Blow, rooms: list[str], since: datetime) -> None:
        for room in rooms:
            try:
                listening = await listened_to(self._rig, room, since)
            except TimeoutError:
                self._say(f"    {room}: nobody has taken over")
                listening = datetime.now(UTC)
            self.losses[room].append(Loss(since, listening))
            self.takeovers[blow].append((listening - since).total_seconds())


async def strike_at_random(rig: Rig, plan: Plan, say: Say) -> list[Row]:
    """The whole of it: two workers, as many rooms as planned, and the lines of the table."""
    await rig.start_workers(2)
    load = Load(rig, plan.rooms, plan.at_a_time, plan.seconds, plan.seed, say)
    blows = Blows(rig, load, plan, say)
    async with asyncio.TaskGroup() as both:
        both.create_task(load.run())
        both.create_task(blows.keep_striking())
    struck = ", ".join(f"{blow} {times}" for blow, times in blows.struck.items())
    case = f"{plan.rooms} rooms, killed at random"
    rows = await judged(rig, case, load.truths, blows.losses)
    killed = [s for blow, found in blows.takeovers.items() if blow != "pause" for s in found]
    return [
        Row(
            case,
            "every room was held",
            str(plan.rooms),
            f"{len(load.truths)} ({struck})",
            len(load.truths) == plan.rooms,
        ),
        *blows.failed,
        *rows,
        _percentile(case, 0.5, MEDIAN_SECONDS, killed),
        _percentile(case, 0.95, MOST_SECONDS, killed),
        *(
            [at_most(case, "host paused: another listens after", PAUSED_SECONDS, blows.takeovers["pause"])]
            if blows.takeovers["pause"]
            else []
        ),
    ]


def _percentile(case: str, share: float, limit: float, seconds: list[float]) -> Row:
    promise = f"job or worker killed: another listens after, p{share * 100:.0f}"
    if not seconds:
        return Row(case, promise, f"< {limit:g} s", "none killed", ok=False)
    seen = share_of(seconds, share)
    return Row(case, promise, f"< {limit:g} s", f"{seen:.2f} s (of {len(seconds)})", seen < limit)
