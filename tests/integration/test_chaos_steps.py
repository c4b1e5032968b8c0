"""Whoever dies at whichever step of writing a session down: it is there once, and what it lacks is noted."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from bench.disasters.rows import Row
from bench.disasters.steps import STEPS, play_in_turn
from tests.integration.busy_machine import on_a_busy_machine

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]
# One of each kind; `python -m bench.chaos kills` plays them all.
CASES = [
    "job killed mid-save, written but not committed",
    "PostgreSQL killed mid-flush, committed unheard",
    "job killed mid-save",
    "job killed between save and answer",
    "worker killed during replay, committed unheard",
]


@pytest.fixture(scope="module")
def rows() -> Sequence[Row]:
    """All on one worker, one after the other; the tests look at what was seen.

    Not under pytest's own folder: PostgreSQL runs as somebody else, who may not look in there.
    """
    chosen = [step for step in STEPS if step.case in CASES]
    with TemporaryDirectory(prefix="chaos-test-") as folder, on_a_busy_machine():
        return asyncio.run(play_in_turn(Path(folder), chosen, print))


@pytest.mark.parametrize("case", CASES)
def test_the_session_is_there_once_and_whole(rows: Sequence[Row], case: str) -> None:
    seen = [row for row in rows if row.case == case]
    assert seen != []
    assert [row for row in seen if not row.ok] == []
