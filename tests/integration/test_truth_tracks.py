"""Words stay with their speaker, whatever becomes of the tracks. The rest of it: `python -m bench.truth`."""

from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from agent.local.postgres import EmbeddedPostgres
from bench.stack import Stack
from bench.truths import tracks
from bench.truths.case import Rig, Row


@pytest.mark.parametrize("measure", [tracks.devices, tracks.screen_share])
async def test_every_word_is_written_once_as_its_speakers(
    measure: Callable[[Rig], Coroutine[Any, Any, list[Row]]],
    stack: Stack,
    postgres: EmbeddedPostgres,
    whisper_url: str,
    tmp_path: Path,
) -> None:
    rows = await measure(Rig(tmp_path, postgres, whisper_url, stack))
    assert [row for row in rows if not row.holds] == []
