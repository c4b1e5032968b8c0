"""The database goes away when a session should be saved."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from agent.local.postgres import EmbeddedPostgres
from bench.stack import Stack, connected, new_room, until

pytestmark = pytest.mark.slow


@contextmanager
def down(postgres: EmbeddedPostgres) -> Iterator[None]:
    postgres.stop()
    try:
        yield
    finally:
        postgres.start()


async def sessions_stored(stack: Stack) -> int:
    async with connected(stack.dsn) as connection:
        count: int = await connection.fetchval("select count(*) from sessions")
    return count


async def test_a_short_outage_is_sat_out(stack_of_its_own: Stack) -> None:
    """With a microphone: of who publishes nothing LiveKit may tell only as the room closes that they left."""
    stack, room = stack_of_its_own, new_room()
    async with stack.joining(room, "student-1"):
        await until(lambda: stack.log("session_claimed", room=room))
        stack.postgres.stop()
    await until(lambda: stack.log("save_retried", room=room, attempt=3))
    stack.postgres.start()
    record = await stack.completed(room)
    retries = [(line["attempt"], line["after_seconds"]) for line in stack.log("save_retried", room=room)]
    assert retries[:2] == [(2, 1), (3, 2)]
    assert record["end_reason"] == "room_empty"
    assert await sessions_stored(stack) == 1
    assert not list(stack.spool.glob("*.jsonl"))


async def test_a_longer_outage_is_told_and_then_made_good(stack_of_its_own: Stack) -> None:
    stack, room = stack_of_its_own, new_room()
    async with stack.joining(room, "student-1", microphone=False) as student:
        await until(lambda: stack.log("session_claimed", room=room))
        with down(stack.postgres):
            await student.send("transcript", {"text": "Said while the database was away."})
            await student.send("session.end", {})
            failed = await student.wait_for_message("session.save_failed", 60)
            assert failed.payload["message"] == "Failed to save session"
            assert len(list(stack.spool.glob("*.jsonl"))) == 1
        saved = await student.wait_for_message("session.saved", 60)
        assert saved.payload["session_id"] == room.removeprefix("coaching-")
    record = await stack.completed(room)
    attempts = [line["after_seconds"] for line in stack.log("save_retried", room=room)]
    assert attempts[:3] == [1, 2, 4]
    assert [entry["text"] for entry in record["transcript"]] == ["Said while the database was away."]
    assert await sessions_stored(stack) == 1
    assert not list(stack.spool.glob("*.jsonl"))


async def test_a_session_outlives_its_recorder_in_the_spool(stack_of_its_own: Stack) -> None:
    stack, room = stack_of_its_own, new_room()
    session_id = room.removeprefix("coaching-")
    with down(stack.postgres):
        async with stack.joining(room, "student-1", microphone=False) as student:
            await until(lambda: stack.log("participant_joined", room=room))
            await student.send("transcript", {"text": "The database never saw this room alive."})
            stay = student.sid
            await until(lambda: any("never saw" in file.read_text() for file in stack.spool.glob("*.jsonl")))
        await until(lambda: stack.log("session_finished", room=room))
        assert len(list(stack.spool.glob("*.jsonl"))) == 1
    await until(lambda: stack.log("spool_replayed", session_id=session_id))
    record = await stack.record(room)
    assert record is not None
    assert record["status"] == "completed"
    assert [entry["text"] for entry in record["transcript"]] == ["The database never saw this room alive."]
    assert [row["participant_sid"] for row in record["participants"]] == [stay]
    assert await sessions_stored(stack) == 1
    assert not list(stack.spool.iterdir())
