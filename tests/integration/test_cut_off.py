"""A recorder that loses LiveKit: nobody has left because it does not see them."""

from pathlib import Path
from uuid import UUID

import pytest

from agent.local.postgres import EmbeddedPostgres
from agent.local.sfu import SfuServer
from bench.stack import connected, new_room, running_stack, until

pytestmark = pytest.mark.slow


async def test_who_is_there_has_not_left_when_the_recorder_is_cut_off_for_good(
    postgres_of_its_own: EmbeddedPostgres, whisper_url: str, tmp_path: Path
) -> None:
    server, room = SfuServer(tmp_path / "sfu"), new_room()
    try:
        with running_stack(server.start(), postgres_of_its_own, whisper_url, tmp_path / "recorder") as stack:
            async with stack.joining(room, "student-1", microphone=False) as student:
                await until(lambda: stack.log("session_claimed", room=room))
                await stack.tell(student, "Before the server went away.")
                server.kill()
                finished = {"session_id": str(UUID(room.removeprefix("coaching-")))}
                await until(lambda: stack.log("session_finished", **finished), within=180)
                record = await stack.record(room)
                async with connected(stack.dsn) as connection:
                    gaps = await connection.fetch(
                        "select data ->> 'reason' as reason from session_events where kind = 'GapNoted'"
                        " and data ->> 'what' = 'everything'"
                    )
    finally:
        server.stop()
    assert record is not None
    assert (record["status"], record["end_time"]) == ("in_progress", None)
    assert [stay["left_at"] for stay in record["participants"]] == [None]
    assert not stack.log("participant_left")
    assert [gap["reason"] for gap in gaps] == ["recorder_cut_off"]
