"""What the publisher's WebRTC counted is what is stored: the cheap part of `python -m bench.truth`."""

from pathlib import Path

from agent.local.postgres import EmbeddedPostgres
from bench.stack import Stack
from bench.truths.case import Rig
from bench.truths.numbers import SMALL, in_a_room, staying
from bench.truths.own_leg import own_leg


async def test_bitrate_and_fps_are_what_was_sent(stack: Stack) -> None:
    rows = await in_a_room(stack, "a small camera", staying(23), SMALL, 15)
    assert [row for row in rows if not row.holds] == []


async def test_what_a_client_says_of_itself_changes_nothing(
    stack: Stack, postgres: EmbeddedPostgres, whisper_url: str, tmp_path: Path
) -> None:
    rows = await own_leg(Rig(tmp_path, postgres, whisper_url, stack))
    assert [row for row in rows if not row.holds] == []
