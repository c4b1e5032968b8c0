"""What a worker tells of itself: whether it is well, and numbers for Prometheus."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2 as httpx
import psutil
import pytest
from prometheus_client.parser import text_string_to_metric_families

from agent.demo.caller import Caller
from agent.local.postgres import EmbeddedPostgres
from agent.local.processes import free_port
from agent.local.sfu import SfuServer
from agent.metrics import Metrics
from bench.stack import Stack, connected, new_room, running_stack, until
from tests.conftest import QUICK_ROOMS

TOKEN = "what Prometheus knows"
Values = dict[tuple[str, frozenset[tuple[str, str]]], float]


def values_in(text: str) -> Values:
    """Each sample by its name and labels."""
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def value(values: Values, name: str, **labels: str) -> float:
    return values[name, frozenset(labels.items())]


def test_what_waits_on_disk_is_counted_by_state(tmp_path: Path) -> None:
    audio = tmp_path / "audio"
    audio.mkdir()
    for path, size in (
        (tmp_path / "a.jsonl", 10),
        (tmp_path / "b.jsonl", 20),
        (tmp_path / "c.rejected", 5),
        (audio / "a.1.utterance", 1000),
        (audio / "a.2.speaking", 100),
        (audio / "a.hearing", 0),
    ):
        path.write_bytes(bytes(size))
    metrics = Metrics()
    metrics.look_at_disk(tmp_path)
    values = values_in(metrics.text().decode())
    assert value(values, "recorder_spool_files", state="waiting") == 2
    assert value(values, "recorder_spool_bytes", state="waiting") == 30
    assert value(values, "recorder_spool_bytes", state="rejected") == 5
    assert value(values, "recorder_audio_files", state="waiting") == 2
    assert value(values, "recorder_audio_bytes", state="waiting") == 1100
    (tmp_path / "a.jsonl").unlink()
    metrics.look_at_disk(tmp_path)
    assert value(values_in(metrics.text().decode()), "recorder_spool_bytes", state="waiting") == 20


def test_a_folder_that_is_not_there_holds_nothing(tmp_path: Path) -> None:
    metrics = Metrics()
    metrics.look_at_disk(tmp_path / "not there")
    assert value(values_in(metrics.text().decode()), "recorder_spool_files", state="waiting") == 0


class Watched:
    """A worker that is asked how it is."""

    def __init__(self, stack: Stack, port: int) -> None:
        self.stack = stack
        self._url = f"http://127.0.0.1:{port}"

    async def get(self, path: str, token: str = TOKEN) -> httpx.Response:
        async with httpx.AsyncClient(timeout=20) as client:
            return await client.get(f"{self._url}{path}", headers={"Authorization": f"Bearer {token}"})

    async def is_unwell(self, **found: Any) -> bool:
        """Whether it says that it is not well, and why."""
        answer = await self.get("/health")
        return answer.status_code == 503 and found.items() <= answer.json().items()

    async def is_well(self) -> bool:
        answer = await self.get("/health")
        return answer.status_code == 200 and answer.json()["reasons"] == []

    async def value(self, name: str, **labels: str) -> float:
        return value(values_in((await self.get("/metrics")).text), name, **labels)


@pytest.fixture
def livekit(tmp_path: Path) -> Iterator[SfuServer]:
    server = SfuServer(tmp_path / "sfu", overrides=QUICK_ROOMS)
    server.start()
    yield server
    server.stop()


@pytest.fixture
def watched(
    livekit: SfuServer, postgres_of_its_own: EmbeddedPostgres, whisper_url: str, tmp_path: Path
) -> Iterator[Watched]:
    port = free_port()
    folder, setting = (
        tmp_path / "recorder",
        {"RECORDER_HTTP_PORT": str(port), "RECORDER_METRICS_TOKEN": TOKEN},
    )
    with running_stack(livekit.address, postgres_of_its_own, whisper_url, folder, **setting) as stack:
        yield Watched(stack, port)


@pytest.mark.slow
async def test_a_worker_tells_what_it_does_and_of_whom_it_says_nothing(watched: Watched) -> None:
    room, stack = new_room(), watched.stack
    assert await watched.is_well()
    assert await watched.value("recorder_rooms") == 0
    async with stack.joining(room, "student-1", microphone=False) as student:
        await until(lambda: stack.log("session_claimed", room=room))
        await stack.tell(student, "Said in the room.")
        assert await watched.value("recorder_rooms") == 1
        assert await watched.value("recorder_recorders_started_total", by="own") == 1
        assert await watched.value("recorder_recorders_started_total", by="reconciler") == 0
        os.kill(int(stack.log("recording_began", room=room)[-1]["pid"]), signal.SIGKILL)
        await until(lambda: len(stack.log("session_claimed", room=room)) == 2)
        assert await watched.value("recorder_recorders_started_total", by="reconciler") == 1
        told = (await watched.get("/metrics")).text + (await watched.get("/health")).text
    assert await watched.value("recorder_reconciled_timestamp_seconds") > 0
    assert await watched.value("recorder_reconcile_failures_total") == 0
    assert await watched.value("process_resident_memory_bytes") > 0
    for private in (room, room.removeprefix("coaching-"), "student-1", student.sid, "Said in"):
        assert private not in told


@pytest.mark.slow
async def test_a_worker_is_asked_on_loopback_and_for_its_numbers_with_the_token(watched: Watched) -> None:
    for wrong in ("another", TOKEN + "x"):
        assert (await watched.get("/metrics", wrong)).status_code == 401
    assert (await watched.get("/metrics")).status_code == 200
    worker = psutil.Process(watched.stack.worker.pid)
    everything = [worker, *worker.children(recursive=True)]
    listening = [c for p in everything for c in p.net_connections("tcp") if c.status == psutil.CONN_LISTEN]
    assert {connection.laddr.ip for connection in listening} == {"127.0.0.1"}
    assert len({connection.laddr.port for connection in listening}) == 2  # health check and numbers


@pytest.mark.slow
async def test_a_worker_without_its_database_or_livekit_says_so_and_is_well_again_with_it(
    watched: Watched, livekit: SfuServer
) -> None:
    watched.stack.postgres.stop(immediate=True)
    await until(lambda: watched.is_unwell(database=False, livekit=True))
    await until(lambda: failures_told(watched))
    watched.stack.postgres.start()
    await until(watched.is_well)
    livekit.kill()
    await until(lambda: watched.is_unwell(database=True, livekit=False))
    assert await watched.value("recorder_livekit_registered") == 0
    livekit.start()
    await until(watched.is_well)


@pytest.mark.slow
async def test_a_worker_that_drains_says_so_and_is_asked_to_the_end(watched: Watched) -> None:
    room, stack = new_room(), watched.stack
    async with stack.joining(room, "student-1", microphone=False):
        await until(lambda: stack.log("session_claimed", room=room))
        stack.worker.send(signal.SIGTERM)
        await until(lambda: stack.log("draining"))
        assert await watched.value("recorder_draining") == 1
        answer = await watched.get("/health")
        # There is no other worker: this one still takes rooms, and is well.
        assert (answer.status_code, answer.json()["draining"]) == (200, True)
    await stack.completed(room)
    await until(lambda: not stack.worker.running)


async def failures_told(watched: Watched) -> bool:
    return await watched.value("recorder_reconcile_failures_total") > 0


@pytest.mark.slow
async def test_a_room_that_five_recorders_were_started_for_in_vain_is_told_of_and_tried_again(
    livekit: SfuServer, postgres_of_its_own: EmbeddedPostgres, whisper_url: str, tmp_path: Path
) -> None:
    postgres, sfu, room, port = postgres_of_its_own, livekit.address, new_room(), free_port()
    folder, setting = tmp_path / "recorder", {"RECORDER_HTTP_PORT": str(port)}
    address = (sfu.url, sfu.api_key, sfu.api_secret)
    async with Caller.joining(*address, room, "student-1", microphone=False) as student:
        async with connected(postgres.dsn) as connection:
            await connection.execute(
                "insert into recorder_starts (room_sid, worker, attempts, at)"
                " values ($1, 'one before', 5, now() - interval '1 minute')",
                await student.room.sid,
            )
        with running_stack(sfu, postgres, whisper_url, folder, **setting) as stack:
            await until(lambda: stack.log("session_claimed", room=room))
            (line,) = stack.log("room_without_recorder", room=room)
            assert line["level"] == "error"
            assert await Watched(stack, port).value("recorder_rooms_given_up_total") == 1
