"""What a worker does beside recording goes on, whatever ends one of its tasks."""

import asyncio
import os
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

import httpx2 as httpx
import pytest
from livekit.agents import AgentServer
from pydantic import SecretStr
from structlog.testing import capture_logs

from agent import supervision
from agent.audio_files import abandoned_audio, audio_folder
from agent.late_words import LateWords
from agent.local.processes import free_port
from agent.local.sfu import Sfu
from agent.metrics import on_disk
from agent.recognition import Recogniser
from agent.replay import replay
from agent.session.errors import ServiceNotStarted
from agent.session.events import ParticipantJoined
from agent.session.rooms import SessionInfo
from agent.settings import Settings
from agent.spool import Spool
from agent.worker import running
from bench.stack import until
from db.pool import Pool

TASKS = {
    "replaying",
    "late_words",
    "purging",
    "beating",
    "measuring_disk",
    "measuring_machine",
    "reconciling",
    "arrivals",
}
JOINED = ParticipantJoined(
    at=datetime(2026, 3, 1, 10, 0, tzinfo=UTC),
    identity="student",
    participant_sid="PA_1",
    name="Sam",
    role="student",
)


@pytest.fixture(autouse=True)
def soon_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervision, "LEAST_PAUSE", 0.05)


@contextmanager
def environment_as_it_was() -> Iterator[None]:
    before = dict(os.environ)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


@asynccontextmanager
async def working(sfu: Sfu, dsn: str, folder: Path) -> AsyncIterator[str]:
    """A worker in this process that has no room to record; the address of its HTTP."""
    port = free_port()
    settings = Settings(
        livekit_url=sfu.url,
        livekit_api_key=sfu.api_key,
        livekit_api_secret=SecretStr(sfu.api_secret),
        database_url=SecretStr(dsn),
        openai_base_url="http://127.0.0.1:9/v1",
        openai_api_key=SecretStr("none"),
        recorder_room_prefix="nobody-",
        recorder_jobs="thread",
        recorder_idle_processes=0,
        recorder_spool_dir=folder,
        recorder_health_port=0,
        recorder_http_port=port,
    )
    with environment_as_it_was():
        async with running(settings):
            yield f"http://127.0.0.1:{port}"


def task(name: str) -> "asyncio.Task[object] | None":
    found = [task for task in asyncio.all_tasks() if task.get_name() == name]
    return found[0] if found else None


def spooled(folder: Path) -> SessionInfo:
    info = SessionInfo(uuid4(), "coaching-x", f"RM_{uuid4().hex[:6]}")
    spool = Spool(folder, info, "nobody")
    spool.append([JOINED])
    spool.close()
    return info


async def test_each_task_that_is_killed_is_told_of_counted_and_works_again(
    sfu_of_its_own: Sfu, dsn: str, pool: Pool, tmp_path: Path
) -> None:
    with capture_logs() as logged:
        async with working(sfu_of_its_own, dsn, tmp_path) as url:
            for name in sorted(TASKS):
                killed = await until(lambda name=name: task(name))
                killed.cancel()
                await until(lambda name=name, killed=killed: task(name) not in (None, killed))
            ended = [line["task"] for line in logged if line["event"] == "task_ended"]
            assert ended == sorted(TASKS)
            async with httpx.AsyncClient() as client:
                metrics = (await client.get(f"{url}/metrics")).text
                for name in TASKS:
                    assert f'recorder_task_restarts_total{{task="{name}"}} 1.0' in metrics
                assert (await client.get(f"{url}/health")).status_code == 200
            info = spooled(tmp_path)
            stored = "select count(*) from sessions where session_id = $1"
            await until(lambda: pool.fetchval(stored, info.session_id))
            since = await pool.fetchval("select now()")
            await until(lambda: pool.fetchval("select max(seen_at) > $1 from workers", since))


async def test_one_that_ends_again_and_again_makes_the_worker_unwell(
    sfu_of_its_own: Sfu, dsn: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fails(*_: object) -> None:
        raise ValueError("what somebody said")

    monkeypatch.setattr("agent.replay.replay", fails)
    async with working(sfu_of_its_own, dsn, tmp_path) as url, httpx.AsyncClient() as client:

        async def unwell() -> list[str]:
            answer = await client.get(f"{url}/health")
            return [] if answer.status_code == 200 else answer.json()["reasons"]

        assert await until(unwell) == ["replaying ends again and again (ValueError)"]


async def test_a_worker_whose_connection_to_livekit_ends_for_good_ends_and_says_so(
    sfu_of_its_own: Sfu, dsn: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs, ended = AgentServer.run, asyncio.Event()

    async def until_told(server: AgentServer, *, devmode: bool) -> None:
        running = asyncio.create_task(runs(server, devmode=devmode))
        await ended.wait()
        running.cancel()
        raise RuntimeError

    async def works() -> None:
        async with working(sfu_of_its_own, dsn, tmp_path):
            ended.set()
            await asyncio.Event().wait()

    monkeypatch.setattr(AgentServer, "run", until_told)
    with pytest.raises(ServiceNotStarted, match="ended for good"):
        await works()


async def test_files_that_go_while_they_are_looked_at_or_are_nothing_keep_no_other_from_the_database(
    pool: Pool, tmp_path: Path
) -> None:
    gone = tmp_path / "gone"
    (tmp_path / f"{uuid4()}.cleared.jsonl").symlink_to(gone)
    audio = audio_folder(tmp_path)
    audio.mkdir()
    session_id = uuid4()
    (audio / f"{session_id}.owner.1.utterance").symlink_to(gone)
    (audio / "of-somebody-else.1.utterance").write_bytes(b"")
    os.utime(audio / "of-somebody-else.1.utterance", (0, 0))
    info = spooled(tmp_path)
    await replay(pool, tmp_path)
    assert await pool.fetchval("select array_agg(session_id) from sessions") == [info.session_id]
    with abandoned_audio(audio, session_id) as paths:
        assert [path.suffix for path in paths] == [".utterance"]
    recogniser = Recogniser(Settings(_env_file=None, openai_api_key=SecretStr("none")), persistence=0)
    assert await LateWords(tmp_path, pool, "worker", recogniser).round()
    await recogniser.aclose()
    on_disk(tmp_path)
    on_disk(gone)
