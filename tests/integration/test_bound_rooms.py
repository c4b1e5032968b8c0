"""A room is one session's from its beginning to its end, whatever its metadata say meanwhile."""

import asyncio
import json
import os
import signal
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from livekit import api

from agent.local.postgres import EmbeddedPostgres
from agent.local.sfu import SfuServer
from agent.recorder import Recorder
from agent.replay import replay
from agent.session.census import FRESH
from agent.session.errors import BoundToAnother
from agent.session.events import ParticipantJoined, SessionEnded
from agent.session.fold import ENDED_BY_PARTICIPANT
from agent.session.rooms import SessionInfo
from agent.spool import Spool
from bench.stack import Stack, connected, new_room, running_stack, until
from db.binding import bound, sessions_of_rooms
from db.fleet import note_first_start
from db.lease import Lease, claim, release
from db.pool import Pool
from db.sessions import purge_journal
from tests.conftest import QUICK_ROOMS

T0 = datetime(2026, 3, 1, 10, 0, tzinfo=UTC)
JOINED = ParticipantJoined(at=T0, identity="student", participant_sid="PA_1", name="Sam", role="student")


def info(sid: str = "RM_1", name: str = "coaching-x") -> SessionInfo:
    return SessionInfo(uuid4(), name, sid)


async def test_of_all_who_ask_at_once_one_settles_it(pool: Pool) -> None:
    answers = await asyncio.gather(*(bound(pool, info()) for _ in range(20)))
    assert len({answer.session_id for answer in answers}) == 1
    assert await sessions_of_rooms(pool, ["RM_1", "RM_2"]) == {"RM_1": answers[0].session_id}


async def test_a_session_that_a_recorder_of_the_release_before_holds_stays_the_rooms(pool: Pool) -> None:
    first = info()
    assert isinstance(await claim(pool, first, T0, "first"), Lease)
    await pool.execute("delete from room_sessions")
    assert await sessions_of_rooms(pool, ["RM_1"]) == {"RM_1": first.session_id}
    assert (await bound(pool, info())).session_id == first.session_id


async def test_a_room_without_a_session_of_its_own_goes_on_with_the_one_recorded_under_its_name(
    pool: Pool,
) -> None:
    first = replace(info("RM_1"), id_from="sid")
    lease = await claim(pool, first, T0, "first")
    assert isinstance(lease, Lease)
    assert (await bound(pool, info("RM_2"))).session_id != first.session_id  # one that names its session
    again = replace(info("RM_3"), id_from="sid")
    assert (await bound(pool, again)).session_id == first.session_id
    await release(pool, lease)
    later = replace(info("RM_4"), id_from="sid")  # the name is used again
    assert (await bound(pool, later)).session_id == later.session_id


@pytest.mark.parametrize(("end_reason", "goes_on"), [("room_empty", True), ("room_closed", False)])
async def test_a_room_of_the_same_name_is_others_once_the_one_before_was_closed(
    pool: Pool, end_reason: str, goes_on: bool
) -> None:
    first, second = (replace(info(sid), id_from="sid") for sid in ("RM_1", "RM_2"))
    assert isinstance(await claim(pool, first, T0, "finishing-its-words"), Lease)
    ended = "update sessions set status = 'completed', end_time = now(), end_reason = $1, updated_at = now()"
    await pool.execute(ended, end_reason)
    assert (await bound(pool, second)).session_id == (first if goes_on else second).session_id
    assert await note_first_start(pool, "RM_3", first.room_name, "worker") != goes_on


async def test_a_room_of_another_session_is_not_claimed(pool: Pool) -> None:
    first, second = info(), info()
    await bound(pool, first)
    with pytest.raises(BoundToAnother) as raised:
        await claim(pool, second, T0, "second")
    assert raised.value.session_id == first.session_id
    assert await pool.fetchval("select count(*) from sessions") == 0


@pytest.mark.parametrize("when", ["at once", "as it closes", "as it is asked to save"])
async def test_a_recorder_that_could_not_ask_writes_to_the_rooms_session(
    pool: Pool, tmp_path: Path, when: str
) -> None:
    first = await bound(pool, info())
    recorder = Recorder(info(), pool, tmp_path)
    recorder.record(JOINED)
    if when == "at once":
        keeping = asyncio.create_task(recorder.keep())
        await until(lambda: pool.fetchval("select count(*) from session_events"))
        keeping.cancel()
    elif when == "as it is asked to save":
        recorder.record(SessionEnded(at=T0, reason=ENDED_BY_PARTICIPANT))
        await recorder.save()
    await recorder.close()
    assert await pool.fetchval("select array_agg(session_id) from sessions") == [first.session_id]
    assert not list(tmp_path.iterdir())


async def test_a_recorder_in_a_restarted_servers_room_takes_it_for_its_session(
    pool: Pool, tmp_path: Path
) -> None:
    session = info()
    recorder = Recorder(session, pool, tmp_path)
    recorder.record(JOINED)
    await recorder.save()
    recorder.moved("RM_2")
    recorder.record(replace(JOINED, participant_sid="PA_2"))
    await recorder.save()
    assert await sessions_of_rooms(pool, ["RM_2"]) == {"RM_2": session.session_id}
    await recorder.close()


async def test_what_was_spooled_without_a_database_goes_to_the_rooms_session(
    pool: Pool, tmp_path: Path
) -> None:
    first = await bound(pool, info())
    spool = Spool(tmp_path, info(), "nobody")
    spool.append([JOINED])
    spool.close()
    await replay(pool, tmp_path)
    assert await pool.fetchval("select array_agg(session_id) from sessions") == [first.session_id]
    assert not list(tmp_path.iterdir())


async def test_rooms_of_sessions_that_are_over_are_forgotten_after_a_day(pool: Pool) -> None:
    await bound(pool, info("RM_gone"))
    await bound(pool, info("RM_new"))
    assert isinstance(await claim(pool, info("RM_live"), T0, "first"), Lease)
    await pool.execute("update room_sessions set at = now() - interval '2 days' where room_sid <> 'RM_new'")
    await purge_journal(pool)
    rows = await pool.fetch("select room_sid from room_sessions order by 1")
    assert [row["room_sid"] for row in rows] == ["RM_live", "RM_new"]


async def test_recorders_that_were_started_are_forgotten_after_a_day(pool: Pool) -> None:
    for sid in ("RM_gone", "RM_new"):
        assert await note_first_start(pool, sid, "coaching-x", "worker")
    await pool.execute("update recorder_starts set at = now() - interval '2 days' where room_sid = 'RM_gone'")
    await purge_journal(pool)
    rows = await pool.fetch("select room_sid from recorder_starts")
    assert [row["room_sid"] for row in rows] == ["RM_new"]


async def sessions_in(stack: Stack, room: str) -> list[UUID]:
    async with connected(stack.dsn) as connection:
        rows = await connection.fetch("select session_id from sessions where room_name = $1", room)
    return [row["session_id"] for row in rows]


async def metadata_becomes(stack: Stack, room: str, metadata: str) -> None:
    at = stack.sfu
    async with api.LiveKitAPI(at.url, at.api_key, at.api_secret) as livekit:
        told = api.UpdateRoomMetadataRequest(room=room, metadata=metadata)
        await livekit.room.update_room_metadata(told)


async def compared_again(stack: Stack) -> None:
    """Until the worker has compared all rooms with all recorders, after whoever is there is new no more."""
    since = datetime.now(UTC)
    reconciled = (
        "select max(seen_at - make_interval(secs => (report ->> 'reconciled_ago')::float8)) from workers"
    )
    async with connected(stack.dsn) as connection:

        async def done() -> bool:
            at = await connection.fetchval(reconciled)
            return at is not None and (at - since).total_seconds() > FRESH

        await until(done)


@pytest.mark.slow
async def test_metadata_that_change_bring_no_second_session_nor_a_second_recorder(stack: Stack) -> None:
    first, other, third = str(uuid4()), str(uuid4()), new_room()
    room, changing = (
        new_room(),
        [
            {"layout": "grid"},
            {"session_id": other},
            {"session_id": third.removeprefix("coaching-")},  # of another room, which lives
            {"session_id": first, "mode": "voice"},
            "{not JSON",
            {"session_id": "not a UUID"},
        ],
    )
    at = stack.sfu
    async with api.LiveKitAPI(at.url, at.api_key, at.api_secret) as livekit:
        request = api.CreateRoomRequest(name=room, metadata=json.dumps({"session_id": first}))
        await livekit.room.create_room(request)
    async with stack.joining(third, "student-2"), stack.joining(room, "student-1") as student:
        await until(lambda: stack.log("session_claimed", room=third))
        await until(lambda: stack.log("session_claimed", room=room))
        for metadata in changing:
            told = metadata if isinstance(metadata, str) else json.dumps(metadata)
            await metadata_becomes(stack, room, told)
            await compared_again(stack)
        assert len(stack.log("recording_began", room=room)) == 1
        ignored = [line["problem"] for line in stack.log("room_metadata_ignored", room=room)]
        elsewhere = "session_id: the room belongs to another session already"
        assert ignored == [elsewhere, elsewhere, "not JSON", "session_id is not a UUID"]

        await metadata_becomes(stack, room, json.dumps({"session_id": other}))
        await stack.tell(student, "Before it was killed.")
        os.kill(int(stack.log("recording_began", room=room)[0]["pid"]), signal.SIGKILL)
        await until(lambda: len(stack.log("session_claimed", room=room)) == 2)
        await stack.tell(student, "After another came.")
        await compared_again(stack)
        assert len(stack.log("recording_began", room=room)) == 2
    assert await sessions_in(stack, room) == [UUID(first)]
    assert await sessions_in(stack, third) == [UUID(third.removeprefix("coaching-"))]
    await until(lambda: stack.log("session_finished", session_id=first))
    async with connected(stack.dsn) as connection:
        row = await connection.fetchrow(
            "select mode, status, jsonb_path_query_array(transcript, '$[*].text')::text as words"
            " from sessions where session_id = $1",
            UUID(first),
        )
    assert row is not None
    assert tuple(row) == (
        "voice",
        "completed",
        '["Before it was killed.", "After another came."]',
    )


@pytest.mark.slow
async def test_a_restarted_livekit_server_brings_no_second_session_of_a_room_whose_name_tells_none(
    postgres_of_its_own: EmbeddedPostgres, whisper_url: str, tmp_path: Path
) -> None:
    server, room = SfuServer(tmp_path / "sfu", overrides=QUICK_ROOMS), "coaching-tuesday"
    try:
        with running_stack(server.start(), postgres_of_its_own, whisper_url, tmp_path / "recorder") as stack:
            async with stack.joining(room, "student-1") as student:
                await until(lambda: stack.log("session_claimed", room=room))
                await stack.tell(student, "Before the server was restarted.")
                server.kill()
                server.start()
                await until(lambda: stack.log("room_moved"))
                await until(lambda: student.connected)
                await stack.tell(student, "After it was.")
                await compared_again(stack)
                await compared_again(stack)
            (session_id,) = {line["session_id"] for line in stack.log("session_claimed")}
            await until(lambda: stack.log("session_finished", session_id=session_id))
            assert await sessions_in(stack, room) == [UUID(session_id)]
    finally:
        server.stop()
