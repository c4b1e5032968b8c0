"""Kills at each named step of writing a session down: the step is held on the wire, and then somebody dies.

Each is played on a rig with one worker, and leaves it with one.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from itertools import count
from pathlib import Path

from bench.disasters.frames import COMMIT_AFTER
from bench.disasters.judging import judged
from bench.disasters.people import conversing
from bench.disasters.rig import Rig, rigged
from bench.disasters.rows import Row, at_most, broken
from bench.disasters.strikes import Target, kill_held, kill_in_room, listened_to, start_database
from bench.disasters.verdict import Loss
from bench.disasters.wire import Held
from bench.speech import sentence
from bench.stack import new_room, until
from db.queries import queries

TALK_SECONDS = 4.0  # before and after: some sentences are in the journal, some follow
LONG_SENTENCE = "0870"
IN_MID_SENTENCE = 3.0  # s after it began
SPOOLED_SECONDS = 90.0
TAKE_OVER_SECONDS = 10.0


@dataclass(frozen=True)
class Step:
    """`statement` is held; `answer`: it was executed, but nobody learns so."""

    name: str
    target: Target
    play: Callable[["Step", Rig], Awaitable[Sequence[Row]]]
    statement: str = ""
    answer: bool = False

    def __post_init__(self) -> None:
        if self.statement and self.statement.removeprefix(COMMIT_AFTER) not in queries:
            raise ValueError(f"{self.statement} is not in queries.sql: nothing would be held")

    @property
    def case(self) -> str:
        return f"{self.target} killed {self.name}"

    def holding(self, rig: Rig, *, by_worker: bool = False) -> AbstractContextManager[Held]:
        """Of what a job writes, or of what the worker itself does."""
        return rig.wire.holding(
            self.statement,
            answer=self.answer,
            whose=lambda pid: (pid in {worker.pid for worker in rig.workers}) == (by_worker or rig.threads),
        )


async def first_flush(step: Step, rig: Rig) -> Sequence[Row]:
    """Nothing of the session is in the database yet."""
    with step.holding(rig) as held:
        async with conversing(rig, new_room()) as talk, talk.talking():
            began = min(stay.joined_at for stay in talk.truth.stays)
            loss = await kill_held(rig, step.target, talk.truth, held)
            await asyncio.sleep(TALK_SECONDS)
    return await judged(rig, step.case, [talk.truth], {talk.room: [Loss(began, loss.end)]})


async def flush(step: Step, rig: Rig) -> Sequence[Row]:
    """A batch of events is on its way while both talk."""
    async with conversing(rig, new_room()) as talk:
        await listened_to(rig, talk.room)
        async with talk.talking():
            await asyncio.sleep(TALK_SECONDS)
            with step.holding(rig) as held:
                loss = await kill_held(rig, step.target, talk.truth, held)
            await asyncio.sleep(TALK_SECONDS)
    return await judged(rig, step.case, [talk.truth], _losses(step, talk.room, loss))


async def utterance(step: Step, rig: Rig) -> Sequence[Row]:
    """The counselor is in the middle of a long sentence."""
    async with conversing(rig, new_room()) as talk:
        await listened_to(rig, talk.room)
        async with talk.talking(aloud=False), asyncio.TaskGroup() as speaking:
            await talk.speak(sentence("0880"))
            speaking.create_task(_discard(talk.speak(sentence(LONG_SENTENCE))))
            await asyncio.sleep(IN_MID_SENTENCE)
            loss = await kill_in_room(rig, step.target, talk.truth)
            await talk.speak(sentence("0880"))
    return await judged(rig, step.case, [talk.truth], _losses(step, talk.room, loss))


async def restart(step: Step, rig: Rig) -> Sequence[Row]:
    """LiveKit's server was restarted, and the same recorder is in a room with a new sid."""
    async with conversing(rig, new_room()) as talk:
        await listened_to(rig, talk.room)
        async with talk.talking():
            await asyncio.sleep(TALK_SECONDS)
            moved = await kill_in_room(rig, "SFU", talk.truth)
            await until(lambda: rig.log("room_moved", room=talk.room))
            await asyncio.sleep(TALK_SECONDS)
            loss = await kill_in_room(rig, step.target, talk.truth)
    taken_over = (loss.end - loss.begin).total_seconds()
    return [
        at_most(step.case, "another listens after", TAKE_OVER_SECONDS, [taken_over]),
        *await judged(rig, step.case, [talk.truth], {talk.room: [moved, loss]}),
    ]


async def save(step: Step, rig: Rig) -> Sequence[Row]:
    """All have left, the session is being saved; nobody is there for whom a recorder would come."""
    with ExitStack() as leaving:
        async with conversing(rig, new_room()) as talk:
            await listened_to(rig, talk.room)
            async with talk.talking():
                await asyncio.sleep(TALK_SECONDS)
            held = leaving.enter_context(step.holding(rig))
        loss = await kill_held(rig, step.target, talk.truth, held, empty=True)
    return await judged(rig, step.case, [talk.truth], _losses(step, talk.room, loss))


async def answer(step: Step, rig: Rig) -> Sequence[Row]:
    """A participant ended the session: it is saved, but whoever saved it never learns so."""
    async with conversing(rig, new_room()) as talk:
        await listened_to(rig, talk.room)
        async with talk.talking():
            await asyncio.sleep(TALK_SECONDS)
        with step.holding(rig) as held:
            await talk.student.send("session.end", {})
            loss = await kill_held(rig, step.target, talk.truth, held)
        async with talk.talking():
            await asyncio.sleep(TALK_SECONDS)
    return await judged(rig, step.case, [talk.truth], _losses(step, talk.room, loss))


async def replay(step: Step, rig: Rig) -> Sequence[Row]:
    """The session ended while the database was away, and is now brought in from the disk."""
    async with conversing(rig, new_room()) as talk:
        await listened_to(rig, talk.room)
        async with talk.talking():
            await asyncio.sleep(TALK_SECONDS)
            await asyncio.to_thread(rig.postgres.stop)
            await asyncio.sleep(TALK_SECONDS)
    await until(lambda: rig.log("session_finished", room=talk.room), within=SPOOLED_SECONDS)
    with step.holding(rig, by_worker=True) as held:
        await start_database(rig, away=0)
        await kill_held(rig, step.target, talk.truth, held, empty=True)
    return await judged(rig, step.case, [talk.truth])


async def play_in_turn(folder: Path, steps: Sequence[Step], say: Callable[[str], None]) -> Sequence[Row]:
    """All of them on one rig; after one that broke, on a new one."""
    waiting, rows = list(steps), list[Row]()
    for number in count(1):
        if not waiting:
            break
        async with rigged(folder / f"rig-{number}") as rig:
            await rig.worker()
            while waiting:
                step = waiting.pop(0)
                say(f"  {step.case}: [{len(steps) - len(waiting)}/{len(steps)}]")
                try:
                    rows += await step.play(step, rig)
                except Exception as error:
                    rows.append(broken(step.case, error))
                    break
    return rows


def _losses(step: Step, room: str, loss: Loss) -> Mapping[str, Sequence[Loss]]:
    """A database or a Whisper that dies is no excuse for anything."""
    return {room: [loss]} if step.target in ("job", "worker", "SFU") else {}


async def _discard(work: Awaitable[object]) -> None:
    await work


FIRST, APPEND, WRITE = "claim_session", "write_changes", "write_session"
STEPS = [
    Step("before the first flush", "job", first_flush, FIRST),
    Step("mid-utterance", "job", utterance),
    Step("mid-utterance", "worker", utterance),
    Step("mid-utterance", "SFU", utterance),
    Step("mid-utterance", "Whisper", utterance),
    Step("after the SFU restarted", "job", restart),
    Step("mid-flush", "job", flush, APPEND),
    Step("mid-flush, committed unheard", "job", flush, APPEND, answer=True),
    Step("mid-flush", "worker", flush, APPEND),
    Step("mid-flush", "PostgreSQL", flush, APPEND),
    Step("mid-flush, committed unheard", "PostgreSQL", flush, APPEND, answer=True),
    Step("mid-save", "job", save, WRITE),
    Step("mid-save, written but not committed", "job", save, WRITE, answer=True),
    Step("mid-save", "worker", save, WRITE),
    Step("mid-save", "PostgreSQL", save, WRITE),
    Step("between save and answer", "job", answer, COMMIT_AFTER + WRITE, answer=True),
    Step("between save and answer", "worker", answer, COMMIT_AFTER + WRITE, answer=True),
    Step("between save and answer", "PostgreSQL", answer, COMMIT_AFTER + WRITE, answer=True),
    Step("during replay", "worker", replay, APPEND),
    Step("during replay, committed unheard", "worker", replay, COMMIT_AFTER + WRITE, answer=True),
    Step("during replay", "PostgreSQL", replay, APPEND),
]
