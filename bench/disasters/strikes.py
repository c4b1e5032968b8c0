"""Killing a process, a worker with its jobs, or a service; and when a recorder listens again."""

import asyncio
import os
import signal
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Literal, get_args

from bench.disasters.followed_log import Line
from bench.disasters.people import Truth, note_who_came_back
from bench.disasters.rig import Rig, Worker
from bench.disasters.verdict import Loss
from bench.disasters.wire import Held
from bench.stack import until

Target = Literal["job", "worker", "PostgreSQL", "SFU", "Whisper"]
TARGETS: tuple[Target, ...] = get_args(Target)
AWAY_SECONDS = 1.0  # before a killed service is started again
BACK_SECONDS = 60.0


def _signs_of(log: Callable[..., list[Line]], room: str) -> list[Line]:
    """Of recorders that listen to a room, by time; the last is the one that writes its session.

    One that waits for its turn listens, too: when it claims the session it has been there for long.
    """
    lines = [*log("recording_began", room=room), *log("session_claimed", room=room)]
    return sorted(lines, key=lambda line: line["at"])


def _holder(log: Callable[..., list[Line]], room: str) -> Line | None:
    """Of the room's recorder that claimed the session last, or else came first."""
    claims = log("session_claimed", room=room) or _signs_of(log, room)[:1]
    return claims[-1] if claims else None


def job_of(rig: Rig, room: str) -> int:
    """The process of the recorder that writes the room's session; where it is a thread, its worker's."""
    holder = _holder(rig.log, room)
    assert holder is not None
    return int(holder.get("pid") or worker_of(rig, room).pid)


def worker_of(rig: Rig, room: str) -> Worker:
    """Whose job that is."""
    holder = _holder(rig.log, room)
    return next(worker for worker in rig.workers if _holder(worker.log, room) == holder)


async def listened_to(rig: Rig, room: str, since: datetime | None = None) -> datetime:
    """When the room's first recorder (after that moment) is known to listen."""

    def began() -> datetime | None:
        lines = _signs_of(rig.log, room)
        return next((line["at"] for line in lines if since is None or line["at"] > since), None)

    at: datetime = await until(began, within=BACK_SECONDS)
    return at


async def kill_held(rig: Rig, target: Target, truth: Truth, held: Held, *, empty: bool = False) -> Loss:
    """Once the step is reached, kill; what was held never arrives. `empty`: no successor will come."""
    await held.reached()
    return await kill_in_room(rig, target, truth, before=held.drop, empty=empty)


async def kill_in_room(
    rig: Rig, target: Target, truth: Truth, *, before: Callable[[], None] = lambda: None, empty: bool = False
) -> Loss:
    """Kill, and wait until a recorder listens to the room. `before`: done as soon as the target is dead."""
    killed_at, room = datetime.now(UTC), truth.room
    if target == "job" and rig.threads:
        target = "worker"
    match target:
        case "job":
            os.kill(job_of(rig, room), signal.SIGKILL)
            before()
        case "worker":
            kill_worker(rig, worker_of(rig, room))
            before()
            await rig.worker()
        case "PostgreSQL":
            await asyncio.to_thread(rig.postgres.kill)
            before()
            await start_database(rig)
        case "Whisper":
            await kill_whisper(rig)
        case "SFU":
            return (await kill_sfu(rig, [truth]))[room]
    goes_on = target in ("job", "worker") and not empty
    return Loss(killed_at, await listened_to(rig, room, killed_at) if goes_on else datetime.now(UTC))


def kill_worker(rig: Rig, worker: Worker, *, with_jobs: bool = True) -> datetime:
    """As a container is killed; or its main process only. When that was."""
    killed_at = datetime.now(UTC)
    if with_jobs:
        rig.end_worker(worker)
    else:
        worker.process.kill()
    return killed_at


async def start_database(rig: Rig, away: float = AWAY_SECONDS) -> None:
    """Start it again, some time after it was stopped."""
    await asyncio.sleep(away)
    rig.postgres.spawn()
    await asyncio.to_thread(rig.postgres.wait_until_ready)


async def kill_whisper(rig: Rig, away: float = AWAY_SECONDS) -> None:
    """Kill it, and start it again."""
    rig.whisper.kill()
    await asyncio.sleep(away)
    rig.whisper.spawn()
    await asyncio.to_thread(rig.whisper.wait_until_ready)


async def kill_sfu(rig: Rig, truths: Sequence[Truth], away: float = AWAY_SECONDS) -> dict[str, Loss]:
    """Kill it, and start it again; from when to when no recorder could hear these rooms."""
    killed_at = datetime.now(UTC)
    rig.sfu.kill()
    await asyncio.sleep(away)
    rig.sfu.spawn()
    await asyncio.to_thread(rig.sfu.wait_until_ready)
    for truth in truths:
        await note_who_came_back(rig, truth, killed_at)
    return {t.room: Loss(killed_at, await _heard_again(rig, t, killed_at)) for t in truths}


async def _heard_again(rig: Rig, truth: Truth, since: datetime) -> datetime:
    """The recorder itself came back, or another came, and LiveKit has told it of the people who did."""
    people = {stay.identity for stay in truth.stays if stay.left_at is None}

    def lines(event: str) -> list[Line]:
        return [line for line in rig.log(event, room=truth.room) if line["at"] > since]

    def back() -> datetime | None:
        returns = [line["at"] for line in [*lines("recorder_reconnected"), *lines("recording_began")]]
        joins = {line["identity"]: line["at"] for line in reversed(lines("participant_joined"))}
        return max([min(returns), *joins.values()]) if returns and people <= set(joins) else None

    at: datetime = await until(back, within=BACK_SECONDS)
    return at
