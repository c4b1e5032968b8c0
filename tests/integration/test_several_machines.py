"""Two LiveKit servers that are one LiveKit, a worker at each: every room of either is recorded once."""

import os
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from livekit import api
from valkey.asyncio import Valkey

from agent.demo.caller import Caller
from agent.local.postgres import EmbeddedPostgres
from agent.local.sfu import KEY_FILE, Sfu, run_sfu
from bench.stack import Stack, new_room, running_stack, until
from bench.valkey import run_valkey
from tests.conftest import QUICK_ROOMS, migrated_postgres

pytestmark = pytest.mark.slow


@dataclass(frozen=True)
class Machines:
    """Two LiveKit nodes that share a Redis, and the database of the workers at both."""

    nodes: tuple[Sfu, Sfu]
    redis: str
    postgres: EmbeddedPostgres

    async def known(self, key: str) -> dict[str, str]:
        """What LiveKit keeps in Redis under this key."""
        host, port = self.redis.split(":")
        async with Valkey(host=host, port=int(port)) as redis:
            return {k.decode(): v.decode("latin-1") for k, v in (await redis.hgetall(key)).items()}  # type: ignore[misc]

    @asynccontextmanager
    async def visited_rooms(self) -> AsyncIterator[dict[str, Caller]]:
        """Four rooms with somebody in each: on each node one entered there and one through the other node."""
        async with AsyncExitStack() as callers:
            rooms = {}
            hosts: dict[str, str] = {}
            for node_id, entrance in product(await self.known("nodes"), self.nodes):
                room = new_room()
                hosts[room] = node_id
                async with api.LiveKitAPI(entrance.url, entrance.api_key, entrance.api_secret) as livekit:
                    await livekit.room.create_room(api.CreateRoomRequest(name=room, node_id=node_id))
                address = (entrance.url, entrance.api_key, entrance.api_secret)
                joining = Caller.joining(*address, room, "student-1", microphone=False)
                rooms[room] = await callers.enter_async_context(joining)
            assert len(set(hosts.values())) == 2
            assert hosts.items() <= (await self.known("room_node_map")).items()
            yield rooms


@pytest.fixture(scope="module")
def machines(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machines]:
    folder = tmp_path_factory.mktemp("machines")
    with ExitStack() as running:
        redis = running.enter_context(run_valkey(folder / "valkey"))
        first, second = (
            running.enter_context(
                run_sfu(folder / name, redis=redis, key_file=folder / KEY_FILE, overrides=QUICK_ROOMS)
            )
            for name in ("first", "second")
        )
        yield Machines((first, second), redis, running.enter_context(migrated_postgres()))


@pytest.fixture
def workers(machines: Machines, whisper_url: str, tmp_path: Path) -> Iterator["Workers"]:
    with ExitStack() as running:
        yield Workers(machines, whisper_url, tmp_path, running)


class Workers:
    """One at each node, each started when a test says so."""

    def __init__(self, machines: Machines, whisper_url: str, folder: Path, running: ExitStack) -> None:
        self._machines = machines
        self._whisper_url = whisper_url
        self._folder = folder
        self._running = running
        self._started: list[Stack] = []

    def start_at(self, node: int) -> Stack:
        """Start the worker of this node (0 or 1)."""
        folder = self._folder / f"worker-{node}"
        stack = running_stack(self._machines.nodes[node], self._machines.postgres, self._whisper_url, folder)
        self._started.append(self._running.enter_context(stack))
        return self._started[-1]

    def claims(self, room: str) -> list[Stack]:
        """Whose jobs claimed the room's session, each time that one did.

        On a slow machine a second recorder may be started. It waits, and claims what the first has let go.
        """
        return [stack for stack in self._started for _ in stack.log("session_claimed", room=room)]

    async def completed(self, room: str) -> dict[str, Any]:
        """The stored session once its last recorder has finished."""
        return await self.claims(room)[-1].completed(room)


async def test_rooms_on_both_nodes_are_recorded_once_each(machines: Machines, workers: Workers) -> None:
    first = workers.start_at(0)
    workers.start_at(1)
    async with machines.visited_rooms() as rooms:
        for room, student in rooms.items():
            await until(lambda room=room: workers.claims(room), within=120)
            await first.tell(student, f"Said in {room}.")
        assert [len(workers.claims(room)) for room in rooms] == [1, 1, 1, 1]
    for room in rooms:
        record = await workers.completed(room)
        assert [entry["text"] for entry in record["transcript"]] == [f"Said in {room}."]
        assert len(record["participants"]) == 1


async def test_rooms_from_before_any_worker_are_recorded_once_each(
    machines: Machines, workers: Workers
) -> None:
    async with machines.visited_rooms() as rooms:
        joined = {room: student.joined_at for room, student in rooms.items()}
        workers.start_at(0)
        workers.start_at(1)
        for room in rooms:
            await until(lambda room=room: workers.claims(room), within=120)
        assert [len(workers.claims(room)) for room in rooms] == [1, 1, 1, 1]
    for room in rooms:
        record = await workers.completed(room)
        assert record["start_time"] == joined[room]
        assert len(record["participants"]) == 1


async def test_a_killed_workers_rooms_on_both_nodes_go_to_the_worker_of_the_other(
    machines: Machines, workers: Workers
) -> None:
    first = workers.start_at(0)
    async with machines.visited_rooms() as rooms:
        for room, student in rooms.items():
            await until(lambda room=room: workers.claims(room) == [first], within=120)
            await first.tell(student, f"Said in {room}.")
        second = workers.start_at(1)
        os.killpg(first.worker.pid, signal.SIGKILL)
        for room, student in rooms.items():
            await until(lambda room=room: workers.claims(room)[1:] == [second], within=120)
            await second.tell(student, f"Said in {room} afterwards.")
        assert [workers.claims(room) for room in rooms] == [[first, second]] * 4
    for room in rooms:
        record = await workers.completed(room)
        said = [f"Said in {room}.", f"Said in {room} afterwards."]
        assert [entry["text"] for entry in record["transcript"]] == said
        assert [gap["reason"] for gap in record["gaps"]] == ["recorder_taken_over"]
