"""However a recorder is dispatched, and whose agents are beside it: each room has one, and its counselor."""

import sys
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager, contextmanager
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from livekit import api
from pydantic import SecretStr

from agent.demo.caller import Caller
from agent.doctor import Unwell, _livekit
from agent.local.postgres import EmbeddedPostgres
from agent.local.processes import ChildProcess
from agent.local.sfu import Sfu
from agent.settings import Settings
from bench.stack import PROJECT, Stack, connected, new_room, running_stack, until

pytestmark = pytest.mark.slow

ROOMS = 6
RECORDER, COUNSELOR = "coaching-recorder", "counselor"


@contextmanager
def counselors(sfu: Sfu, folder: Path, *name: str) -> Iterator[None]:
    """A platform's own worker, registered."""
    environment = {
        "LIVEKIT_URL": sfu.url,
        "LIVEKIT_API_KEY": sfu.api_key,
        "LIVEKIT_API_SECRET": sfu.api_secret,
    }
    command = [sys.executable, "-m", "tests.integration.counselor_agent", *name]
    worker = ChildProcess(
        "counselor", command, folder / "counselor.log", environment=environment, directory=PROJECT
    )
    try:
        worker.wait_until(lambda: "registered" in worker.log.read_text(), timeout=60)
        yield
    finally:
        worker.kill()


@asynccontextmanager
async def visited(sfu: Sfu, count: int, *agents: str) -> AsyncIterator[dict[str, Caller]]:
    """So many rooms with a student in each, for which these agents are dispatched by name."""
    address = (sfu.url, sfu.api_key, sfu.api_secret)
    dispatched = [api.RoomAgentDispatch(agent_name=agent) for agent in agents]
    async with AsyncExitStack() as leaving, api.LiveKitAPI(*address) as livekit:
        students = {}
        for _ in range(count):
            room = new_room()
            await livekit.room.create_room(api.CreateRoomRequest(name=room, agents=dispatched))
            joining = Caller.joining(*address, room, "student-1", microphone=False)
            students[room] = await leaving.enter_async_context(joining)
        yield students


async def agents_in(sfu: Sfu, room: str) -> Counter[str]:
    async with api.LiveKitAPI(sfu.url, sfu.api_key, sfu.api_secret) as livekit:
        there = await livekit.room.list_participants(api.ListParticipantsRequest(room=room))
    kinds = [p for p in there.participants if p.kind == api.ParticipantInfo.Kind.AGENT]
    return Counter(RECORDER if p.permission.hidden else COUNSELOR for p in kinds)


async def has_both(sfu: Sfu, room: str) -> bool:
    return await agents_in(sfu, room) == Counter([RECORDER, COUNSELOR])


@pytest.mark.parametrize("name", [(), (COUNSELOR,)], ids=["un-named", "named"])
async def test_beside_a_platforms_own_agent_each_room_gets_both(
    sfu_of_its_own: Sfu,
    postgres_of_its_own: EmbeddedPostgres,
    whisper_url: str,
    tmp_path: Path,
    name: tuple[str, ...],
) -> None:
    sfu = sfu_of_its_own
    with ExitStack() as running:
        running.enter_context(counselors(sfu, tmp_path, *name))
        stack = running.enter_context(
            running_stack(sfu, postgres_of_its_own, whisper_url, tmp_path / "worker")
        )
        async with visited(sfu, ROOMS, *name) as students:
            for room, student in students.items():
                await until(lambda room=room: has_both(sfu, room))
                await until(lambda room=room: stack.log("session_claimed", room=room))
                await stack.tell(student, f"Said in {room}.")
            assert len(stack.log("recording_began")) == ROOMS
        for room in students:
            record = await stack.completed(room)
            assert [entry["text"] for entry in record["transcript"]] == [f"Said in {room}."]
            assert [p["role"] for p in record["participants"]] == ["student", "counselor"]


async def test_where_livekit_gave_a_room_to_another_worker_log_and_doctor_say_what_to_set(
    sfu_of_its_own: Sfu, postgres_of_its_own: EmbeddedPostgres, whisper_url: str, tmp_path: Path
) -> None:
    sfu = sfu_of_its_own
    automatic = {"RECORDER_DISPATCH": "automatic"}
    with ExitStack() as running:
        running.enter_context(counselors(sfu, tmp_path))
        settings = Settings(
            livekit_url=sfu.url,
            livekit_api_key=sfu.api_key,
            livekit_api_secret=SecretStr(sfu.api_secret),
            recorder_dispatch="automatic",
        )
        async with visited(sfu, 1) as students:
            (room,) = students
            await until(lambda: agents_in(sfu, room))
            with pytest.raises(Unwell, match="RECORDER_DISPATCH=own"):
                await _livekit(settings)
            assert "answers" in await _livekit(settings.model_copy(update={"recorder_dispatch": "own"}))
        stack = running.enter_context(
            running_stack(sfu, postgres_of_its_own, whisper_url, tmp_path / "worker", **automatic)
        )
        async with AsyncExitStack() as leaving:

            async def told() -> bool:
                """By chance a room goes to either worker; what is ours to repair has been, then."""
                for room in await leaving.enter_async_context(visited(sfu, 4)):
                    await until(lambda room=room: stack.log("session_claimed", room=room))
                return bool(stack.log("another_worker_answers"))

            await until(told, within=90)
        assert len(stack.log("another_worker_answers")) == 1


async def test_two_dispatches_by_name_and_a_room_without_any_have_one_recorder_each(
    sfu_of_its_own: Sfu, postgres_of_its_own: EmbeddedPostgres, whisper_url: str, tmp_path: Path
) -> None:
    sfu = sfu_of_its_own
    named = {"RECORDER_DISPATCH": "named", "RECORDER_AGENT_NAME": RECORDER}
    with running_stack(sfu, postgres_of_its_own, whisper_url, tmp_path, **named) as stack:
        async with visited(sfu, 1, RECORDER) as twice, visited(sfu, 1) as forgotten:
            for room in (*twice, *forgotten):
                await until(lambda room=room: stack.log("session_claimed", room=room))
            (room,) = twice
            async with api.LiveKitAPI(sfu.url, sfu.api_key, sfu.api_secret) as livekit:
                again = api.CreateAgentDispatchRequest(agent_name=RECORDER, room=room)
                await livekit.agent_dispatch.create_dispatch(again)
            await stack.tell(twice[room], "To one of us.")
            await until(lambda: stack.log("received job request", room=room)[1:])
            assert await agents_in(sfu, room) == Counter([RECORDER])
            assert [line["room"] for line in stack.log("recorder_started_for_room")] == list(forgotten)
        assert len(stack.log("recording_began", room=room)) == 1
        record = await stack.completed(room)
    assert [entry["text"] for entry in record["transcript"]] == ["To one of us."]


async def test_two_workers_share_the_rooms_that_they_start(
    sfu_of_its_own: Sfu, postgres_of_its_own: EmbeddedPostgres, whisper_url: str, tmp_path: Path
) -> None:
    sfu, postgres = sfu_of_its_own, postgres_of_its_own
    limited = {"RECORDER_MAX_ROOMS": "6", "RECORDER_JOBS": "thread"}
    with ExitStack() as running:
        workers = [
            running.enter_context(running_stack(sfu, postgres, whisper_url, tmp_path / name, **limited))
            for name in ("first", "second")
        ]
        await until(lambda: both_know_each_other(workers))
        async with visited(sfu, 2 * ROOMS) as students:
            for room in students:
                await until(lambda room=room: [w for w in workers if w.log("session_claimed", room=room)])
            begun = [len(worker.log("recording_began")) for worker in workers]
        assert sum(begun) == 2 * ROOMS
        assert min(begun) >= 2


async def both_know_each_other(workers: list[Stack]) -> bool:
    """Each has told a sign of life since both were ready, and one more, which tells it of the other."""
    ready = max(datetime.fromisoformat(worker.log("worker_ready")[0]["timestamp"]) for worker in workers)
    async with connected(workers[0].dsn) as connection:
        seen = "select count(*) from workers where ready and seen_at > $1"
        return bool(await connection.fetchval(seen, ready + timedelta(seconds=2)) == len(workers))
