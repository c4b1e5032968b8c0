"""Joins, leaves, rejoins, roles and kinds, on LiveKit's own clock."""

import json
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

from livekit import api

from agent.local.processes import ChildProcess
from bench.stack import PROJECT, Stack, connected, new_room, until

HALF_A_SECOND = timedelta(seconds=0.5)


def caller_process(stack: Stack, room: str, identity: str, log: Path) -> ChildProcess:
    """A caller that can be killed like a client whose machine dies."""
    return ChildProcess(
        identity,
        [sys.executable, "-m", "agent.demo.caller", "--room", room, "--identity", identity],
        log,
        environment={
            "LIVEKIT_URL": stack.sfu.url,
            "LIVEKIT_API_KEY": stack.sfu.api_key,
            "LIVEKIT_API_SECRET": stack.sfu.api_secret,
        },
        directory=PROJECT,
    )


def happened(log: Path, what: str) -> dict[str, str] | None:
    lines = [json.loads(line) for line in log.read_text().splitlines() if line.startswith("{")]
    return next((line for line in lines if line["happening"] == what), None)


async def test_a_killed_client_that_returns_has_two_stays(stack: Stack, tmp_path: Path) -> None:
    room, first_log = new_room(), tmp_path / "student.log"
    student = caller_process(stack, room, "student-1", first_log)
    first = await until(lambda: happened(first_log, "joined"))
    async with stack.joining(room, "counselor-1") as counselor:
        await until(lambda: stack.log("participant_joined", room=room, identity="counselor-1"))
        student.kill()
        async with stack.joining(room, "student-1") as returned:
            await until(lambda: len(stack.log("participant_joined", room=room, identity="student-1")) == 2)
            await until(lambda: stack.log("participant_left", room=room, identity="student-1"))
            again = returned.joined_at
        counselor_joined = counselor.joined_at
    record = await stack.completed(room)
    joined = {stay["participant_sid"]: stay["joined_at"] for stay in record["participants"]}
    assert len(joined) == 3
    assert abs(joined[first["sid"]] - datetime.fromisoformat(first["joined_at"])) < HALF_A_SECOND
    assert joined[returned.sid] == again
    assert joined[counselor.sid] == counselor_joined
    lefts = [stay["left_at"] for stay in record["participants"]]
    assert record["end_time"] == max(lefts)
    assert abs(record["end_time"] - (counselor.left_at or again)) < HALF_A_SECOND
    assert record["duration_seconds"] == int((record["end_time"] - record["start_time"]).total_seconds())
    assert record["end_reason"] == "room_empty"


async def test_a_session_reopens_when_someone_returns_before_the_room_closes(stack: Stack) -> None:
    room = new_room()
    async with stack.joining(room, "student-1", microphone=False):
        await until(lambda: stack.log("recording_began", room=room))
        await until(lambda: stack.log("session_claimed", room=room))
    await until(lambda: _status(stack, room, "completed"))
    async with stack.joining(room, "student-1", microphone=False):
        await until(lambda: _status(stack, room, "in_progress"))
    record = await stack.completed(room)
    assert len(record["participants"]) == 2
    assert record["end_time"] == max(stay["left_at"] for stay in record["participants"])


async def test_a_room_with_only_an_agent_left_is_over(stack: Stack) -> None:
    room = new_room()
    async with stack.joining(room, "student-1") as student:
        async with stack.joining(room, "counselor-ai", kind="agent") as agent:
            await until(lambda: len(stack.log("participant_joined", room=room)) == 2)
            await until(lambda: stack.log("session_claimed", room=room))
            await student.leave()
            await until(lambda: _status(stack, room, "completed"), within=4)  # LiveKit keeps it for 6 s
            assert len(stack.log("participant_left", room=room)) == 1
            early = await stack.record(room)
            await agent.leave()
        await until(lambda: len(stack.log("participant_left", room=room)) == 2)
    record = await stack.completed(room)
    left = {stay["identity"]: stay["left_at"] for stay in record["participants"]}
    assert early is not None
    assert record["end_time"] == early["end_time"] == left["student-1"] < left["counselor-ai"]
    assert record["end_reason"] == "room_empty"


async def test_an_agent_that_waits_alone_ends_nothing(stack: Stack) -> None:
    room = new_room()
    async with stack.joining(room, "counselor-ai", kind="agent"):
        await until(lambda: stack.log("session_claimed", room=room))
        async with stack.joining(room, "student-1") as student:
            await until(lambda: len(stack.log("participant_joined", room=room)) == 2)
            assert await _status(stack, room, "in_progress")
            await stack.tell(student, "There you are.")
    record = await stack.completed(room)
    (left_at,) = [stay["left_at"] for stay in record["participants"] if stay["identity"] == "student-1"]
    assert record["end_time"] == left_at


async def test_who_changes_their_name_hundreds_of_times_is_told_of_once_a_second(stack: Stack) -> None:
    room = new_room()
    async with (
        stack.joining(room, "student-1"),
        api.LiveKitAPI(stack.sfu.url, stack.sfu.api_key, stack.sfu.api_secret) as livekit,
    ):
        await until(lambda: stack.log("session_claimed", room=room))
        began = datetime.now(UTC)
        for number in range(300):
            change = api.UpdateParticipantRequest(room=room, identity="student-1", name=f"Sam {number}")
            await livekit.room.update_participant(change)
        seconds = (datetime.now(UTC) - began).total_seconds()
        await until(lambda: _named(stack, room, "Sam 299"))
    await stack.completed(room)
    async with connected(stack.dsn) as connection:
        told = await connection.fetchval(
            "select count(*) from session_events join sessions using (session_id)"
            " where room_name = $1 and kind = 'ParticipantJoined'",
            room,
        )
    assert 2 <= told <= seconds + 4


async def _named(stack: Stack, room: str, name: str) -> bool:
    async with connected(stack.dsn) as connection:
        found = await connection.fetchval(
            "select count(*) from video_participants join sessions using (session_id)"
            " where room_name = $1 and name = $2",
            room,
            name,
        )
    return bool(found)


async def test_roles_and_users_come_from_attributes_metadata_and_identity(stack: Stack) -> None:
    room, user, owner = new_room(), str(uuid4()), str(uuid4())
    session_id = str(uuid4())
    async with api.LiveKitAPI(stack.sfu.url, stack.sfu.api_key, stack.sfu.api_secret) as livekit:
        await livekit.room.create_room(
            api.CreateRoomRequest(
                name=room,
                metadata=json.dumps(
                    {
                        "session_id": session_id,
                        "user_id": owner,
                        "counselor_category": "college",
                        "mode": "voice",
                    }
                ),
            )
        )
    quiet = {"microphone": False}
    async with (
        stack.joining(room, "alice", role="student", attributes={"user_id": user}, **quiet),
        stack.joining(room, "bob", metadata='{"role": "counselor"}', **quiet),
        stack.joining(room, "student-carol", role="principal", **quiet),
        stack.joining(room, "dave", metadata="{nonsense", name="Dave \x00", **quiet),
    ):
        await until(lambda: len(stack.log("participant_joined", room=room)) == 4)
    record = await stack.completed(f"coaching-{session_id}")
    roles = {stay["identity"]: stay["role"] for stay in record["participants"]}
    assert roles == {
        "alice": "student",
        "bob": "counselor",
        "student-carol": "student",
        "dave": "participant",
    }
    assert str(record["user_id"]) == owner
    assert record["counselor_category"] == "college"
    assert record["mode"] == "voice"
    of_alice = next(stay for stay in record["participants"] if stay["identity"] == "alice")
    assert str(of_alice["user_id"]) == user


async def test_a_room_without_the_prefix_is_left_alone(stack: Stack) -> None:
    room = f"meeting-{uuid4()}"
    async with stack.joining(room, "student-1", microphone=False):
        # A coaching room asked for later is recorded already: the other one would be too, were it to be.
        coaching = new_room()
        async with stack.joining(coaching, "student-1", microphone=False):
            await until(lambda: stack.log("recording_began", room=coaching))
            async with api.LiveKitAPI(stack.sfu.url, stack.sfu.api_key, stack.sfu.api_secret) as livekit:
                there = await livekit.room.list_participants(api.ListParticipantsRequest(room=room))
            assert [participant.identity for participant in there.participants] == ["student-1"]
    assert not stack.log("recording_began", room=room)


async def test_malformed_room_metadata_is_one_log_line_and_no_more(stack: Stack) -> None:
    room = new_room()
    async with api.LiveKitAPI(stack.sfu.url, stack.sfu.api_key, stack.sfu.api_secret) as livekit:
        await livekit.room.create_room(api.CreateRoomRequest(name=room, metadata='{"session_id": 7'))
    async with stack.joining(room, "student-1", microphone=False):
        await until(lambda: stack.log("session_claimed", room=room))
    record = await stack.completed(room)
    assert record["mode"] == "video"
    assert len(stack.log("room_metadata_ignored", room=room)) == 1


async def _status(stack: Stack, room: str, status: str) -> bool:
    record = await stack.record(room)
    return record is not None and record["status"] == status


async def test_a_room_that_is_deleted_ends_the_session_for_all(stack: Stack) -> None:
    room = new_room()
    async with stack.joining(room, "student-1") as student, stack.joining(room, "counselor-1"):
        await until(lambda: stack.log("session_claimed", room=room))
        await stack.tell(student, "And then the room was gone.")
        async with api.LiveKitAPI(stack.sfu.url, stack.sfu.api_key, stack.sfu.api_secret) as livekit:
            await livekit.room.delete_room(api.DeleteRoomRequest(room=room))
        deleted_at = datetime.now(UTC)
        record = await stack.completed(room)
    assert [entry["text"] for entry in record["transcript"]] == ["And then the room was gone."]
    assert abs(record["end_time"] - deleted_at) < timedelta(seconds=5)
    assert all(stay["left_at"] for stay in record["participants"])
