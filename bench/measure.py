"""One measurement: a fresh worker, first idle, then with rooms."""

import asyncio
import os
import signal
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from uuid import uuid4

import psutil
from livekit import api

from agent.demo.sfu_api import who_is_there
from agent.local.processes import ChildProcess
from agent.session.errors import ServiceNotStarted
from bench.figures import Case, Cost, Worker
from bench.instant_whisper import heard
from bench.kept import kept, renewals
from bench.latency import witnessed
from bench.procfs import processes, read_cpu, read_pss
from bench.services import ROOM_PREFIX, Services, python

REGISTER_TIMEOUT = 90.0
JOIN_TIMEOUT = 120.0
SETTLE_TIMEOUT = 60.0
SETTLED_SECONDS = 3.0
SETTLED_CPU = 5.0  # percent of a core
IDLE_SECONDS = 5.0
REPLACE_TIMEOUT = 30.0
MEMORY_EVERY = 5.0
Say = Callable[[str], None]


def measure(worker: Worker, case: Case, given: Services, camera: Path, say: Say) -> Cost:
    """Run one worker through one case."""
    rooms = [f"{ROOM_PREFIX}{uuid4()}" for _ in range(case.rooms)]
    if not worker.records:
        return _measured(worker, case, given, camera, rooms, say)
    before, _ = heard(given.whisper_port)
    with witnessed(given, rooms) as witness:
        cost = _measured(worker, case, given, camera, rooms, say)
    asked = heard(given.whisper_port)[0] - before
    left = asyncio.run(kept(given.database_url, rooms))
    return replace(cost, asked=asked, kept=left, latencies=witness.latencies)


def _measured(worker: Worker, case: Case, given: Services, camera: Path, rooms: list[str], say: Say) -> Cost:
    room_for_all = {"RECORDER_MAX_ROOMS": str(2 * case.rooms)}
    environment = {**given.settings().as_environment(), **room_for_all, **worker.environment}
    load = ["bench.talkers", *rooms, *(["--camera", str(camera)] if case.cameras else [])]
    log = given.folder / f"{rooms[0]}.log"
    with (
        python(worker.module, log, environment) as process,
        # Here already, so that it shares its libraries' pages with the idle worker as with the busy one.
        python(load, given.folder / f"{rooms[0]}.talkers.log", environment) as talkers,
    ):
        _wait_for("ready", talkers, REGISTER_TIMEOUT)
        _wait_for("worker_ready", process, REGISTER_TIMEOUT)
        _settle(process.pid)
        warm = processes(process.pid)
        idle = _watch({"worker": process.pid}, IDLE_SECONDS)
        say(f"idle: {idle['mb']:.0f} MB; {case.rooms} x 2 talkers join")
        os.kill(talkers.pid, signal.SIGUSR1)
        _wait_for_listeners(rooms, given, process)
        _wait_for_processes(process.pid, warm + case.rooms)
        time.sleep(case.warm_up)
        say(f"measuring for {case.seconds:g} s")
        before, written = heard(given.whisper_port), asyncio.run(renewals(given.database_url))
        pids = {"sfu": given.sfu.pid, "database": given.database_pid, "talkers": talkers.pid}
        busy = _watch({"worker": process.pid, **pids}, case.seconds)
        after = heard(given.whisper_port)
        writes = (asyncio.run(renewals(given.database_url)) - written) / case.seconds
        _require_running(process, talkers)
        _wait_for_listeners(rooms, given, process, timeout=0)
    return Cost(
        worker=worker.name,
        rooms=case.rooms,
        cameras=case.cameras,
        idle_cpu=idle["worker"],
        idle_mb=idle["mb"],
        cpu=busy["worker"],
        mb=busy["mb"],
        utterances=after[0] - before[0],
        speech_seconds=after[1] - before[1],
        writes=writes,
        kept=None,
        latencies=None,
        sfu_cpu=busy["sfu"],
        database_cpu=busy["database"],
        talkers_cpu=busy["talkers"],
        machine_busy=busy["machine"],
    )


def _settle(pid: int) -> None:
    """Until a started worker has all its warm processes and rests; as it is after `SETTLE_TIMEOUT`."""
    deadline = time.monotonic() + SETTLE_TIMEOUT
    while time.monotonic() < deadline:
        count, before = processes(pid), read_cpu(pid)
        time.sleep(SETTLED_SECONDS)
        if processes(pid) == count and read_cpu(pid).percent_since(before) < SETTLED_CPU:
            return


def _wait_for_processes(pid: int, count: int) -> None:
    """Until every warm process that a room has taken is replaced; a worker with threads may never need to."""
    deadline = time.monotonic() + REPLACE_TIMEOUT
    while processes(pid) < count and time.monotonic() < deadline:
        time.sleep(0.5)


def _watch(pids: Mapping[str, int], seconds: float) -> dict[str, float]:
    """Mean CPU of each tree and of the machine, and the worker's mean memory, over the next `seconds`."""
    before = {name: read_cpu(pid) for name, pid in pids.items()}
    psutil.cpu_percent()
    memory = []
    end = time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0:
        memory.append(read_pss(pids["worker"]))
        time.sleep(max(min(MEMORY_EVERY, left), 0))
    cpu = {name: read_cpu(pid).percent_since(before[name]) for name, pid in pids.items()}
    return {**cpu, "mb": statistics.fmean(memory), "machine": psutil.cpu_percent()}


def _wait_for(word: str, child: ChildProcess, timeout: float) -> None:
    child.wait_until(lambda: word in child.log.read_text(errors="replace"), timeout=timeout)


def _wait_for_listeners(
    rooms: list[str], given: Services, process: ChildProcess, timeout: float = JOIN_TIMEOUT
) -> None:
    """Until every room has its two talkers and somebody who listens to them."""
    deadline = time.monotonic() + timeout
    while asyncio.run(_fewest_in(rooms, given)) < 3:
        if time.monotonic() > deadline:
            raise ServiceNotStarted(f"a room was left alone by {process.name}:\n{process.log_tail()}")
        time.sleep(0.5)


async def _fewest_in(rooms: list[str], given: Services) -> int:
    where = (given.sfu.url, given.sfu.api_key, given.sfu.api_secret)
    try:
        return min([len(await who_is_there(*where, room)) for room in rooms])
    except api.TwirpError:
        return 0  # a room that is not there yet


def _require_running(*children: ChildProcess) -> None:
    for child in children:
        if not child.running:
            raise ServiceNotStarted(f"{child.name} stopped while it was measured:\n{child.log_tail()}")
