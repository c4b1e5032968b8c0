"""What cannot be heard: nothing is invented, and a gap says why. All of it: `python -m bench.truth`."""

import asyncio
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from agent.local.postgres import EmbeddedPostgres
from bench.stack import Stack, connected, new_room, until
from bench.truths import withheld
from bench.truths.case import Rig, Row


@pytest.mark.parametrize(
    "measure",
    [
        withheld.mixed,
        withheld.withdrawn,
        withheld.killed,
        pytest.param(withheld.encrypted, marks=pytest.mark.slow),
        pytest.param(withheld.with_the_key, marks=pytest.mark.slow),
        pytest.param(withheld.stalled, marks=pytest.mark.slow),
        pytest.param(withheld.denied, marks=pytest.mark.slow),
        pytest.param(withheld.unknown_source, marks=pytest.mark.slow),
        pytest.param(withheld.muted_device, marks=pytest.mark.slow),
    ],
)
async def test_what_cannot_be_heard_is_a_gap_with_its_reason(
    measure: Callable[[Rig], Coroutine[Any, Any, list[Row]]],
    stack: Stack,
    postgres: EmbeddedPostgres,
    whisper_url: str,
    tmp_path: Path,
) -> None:
    rows = await measure(Rig(tmp_path, postgres, whisper_url, stack))
    assert [row for row in rows if not row.holds] == []


async def test_a_client_that_mutes_without_end_writes_a_bounded_record(stack: Stack) -> None:
    room = new_room()
    async with stack.joining(room, "student-1") as student:
        await until(lambda: stack.hears(room, 1))
        for _ in range(500):
            student.mute("microphone")
            student.unmute("microphone")
            await asyncio.sleep(0)
        student.mute("microphone")
        await student.send("session.end", {})
        await student.wait_for_message("session.saved", 60)
    await stack.completed(room)
    async with connected(stack.dsn) as connection:
        changes = await connection.fetch(
            "select kind, data ->> 'on' as on from session_events join sessions using (session_id)"
            " where room_name = $1 and kind in ('MicrophoneChanged', 'QualityRead') order by seq",
            room,
        )
    assert 1 <= len(changes) <= 200
    assert [row["on"] for row in changes if row["kind"] == "MicrophoneChanged"][-1] == "false"
