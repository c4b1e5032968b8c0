"""What is refused leaves a gap, however much was refused before."""

from typing import cast

import pytest

from agent import refusals
from agent.budgets import Budgets
from agent.recorder import Recorder
from agent.refusals import Refusals
from agent.session.errors import MessageRefused
from agent.session.events import Event, GapNoted
from tests.unit.builders import at
from tests.unit.room_events import participant


class Record:
    def __init__(self) -> None:
        self.told: list[Event] = []

    def record(self, event: Event) -> None:
        self.told.append(event)


async def test_words_refused_after_many_gaps_are_a_gap_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(refusals, "_MOST_GAPS", 3)
    record, too_long = Record(), MessageRefused("text larger than 16 KiB", words=True)
    told = Refusals(cast("Recorder", record), Budgets())
    for minute in range(5):
        told.note("transcript", participant("guest"), too_long, at(60 * minute))
        told.close()  # as it is when all was quiet for a while
    told.note("transcript", participant("student"), too_long, at(600))
    told.note("transcript", participant("student"), too_long, at(660))
    told.close()
    gaps = [event for event in record.told if isinstance(event, GapNoted)]
    assert [gap.identity for gap in gaps] == ["guest"] * 5 + ["student"]
    assert (gaps[-1].at, gaps[-1].until) == (at(600), at(660))
