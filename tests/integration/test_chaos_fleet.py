"""Workers that hang, that are replaced, that have had many rooms: no room is missed, nothing is left over.

How long it takes is measured by `python -m bench.chaos`, on a machine that has nothing else to do.
"""

from collections.abc import AsyncIterator, Iterable
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from bench.disasters import deploy, unwatched
from bench.disasters.endurance import one_after_another
from bench.disasters.rig import Rig, rigged
from bench.disasters.rows import Row
from bench.disasters.twice import two_recorders
from tests.integration.busy_machine import on_a_busy_machine

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]
TIMED = (unwatched.PROMISE, deploy.PROMISE)


@pytest.fixture
async def rig() -> AsyncIterator[Rig]:
    """Not under pytest's own folder: PostgreSQL runs as somebody else, who may not look in there."""
    with TemporaryDirectory(prefix="chaos-test-") as folder, on_a_busy_machine():
        async with rigged(Path(folder)) as running:
            yield running


def broken(rows: Iterable[Row]) -> list[Row]:
    """But for the time that it took."""
    return [row for row in rows if not row.ok and row.promise not in TIMED]


async def test_rooms_beside_a_hung_worker_are_recorded(rig: Rig) -> None:
    assert broken(await unwatched.hung_worker(rig, rooms=3)) == []


async def test_rooms_beside_a_worker_that_hung_while_it_acted_for_all_are_recorded(rig: Rig) -> None:
    assert broken(await unwatched.hung_while_acting(rig, rooms=3)) == []


async def test_a_worker_is_replaced_while_rooms_come_and_go(rig: Rig) -> None:
    rows = await deploy.rolling_deploy(rig, 6, 2, 8.0, 1, print, workers=1)
    assert broken(rows) == []


async def test_a_worker_keeps_nothing_of_the_rooms_that_it_had(rig: Rig) -> None:
    assert broken(await one_after_another(rig, 8, 4, print, growth=15.0)) == []


async def test_what_two_recorders_heard_is_written_once(rig: Rig) -> None:
    assert broken(await two_recorders(rig)) == []
