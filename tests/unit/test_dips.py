"""Where a call was at its worst, and what was said then."""

from dataclasses import asdict
from typing import Any

from agent.session.dips import Dip, dips
from agent.session.fold import fold
from tests.unit.builders import at, heard, info, joined, reading

GOOD = {"packets_lost": 0, "packets_received": 500}


def row(seconds: float, identity: str = "student", **figures: Any) -> dict[str, Any]:
    told = asdict(reading(seconds, identity, **(GOOD | figures)))
    return {**told, "read_at": told["at"]}


def found(*rows: dict[str, Any], most: int = 5) -> list[Dip]:
    said = (heard(1, "well"), heard(12, "and then", lasting=4), heard(15, "yes", "counselor"))
    people = (joined(0), joined(0, "counselor", role="counselor"))
    return dips(rows, fold(info(), [*people, *said]).transcript(), most)


def test_a_good_call_has_none() -> None:
    assert found(*(row(10 * n, fps=15) for n in range(1, 9))) == []


def test_a_dip_leads_to_the_sentence_spoken_in_it() -> None:
    (dip,) = found(row(10), row(20, packets_lost=40, packets_received=460))
    assert (dip.begin, dip.end, dip.what) == (at(10), at(20), "8.0 % of packets lost")
    assert dip.words is not None
    assert dip.words["text"] == "and then"


def test_the_words_of_the_one_who_had_it_come_first() -> None:
    (dip,) = found(row(20, "counselor", packets_lost=40))
    assert dip.words is not None
    assert dip.words["text"] == "yes"


def test_nobody_spoke() -> None:
    (dip,) = found(row(70, packets_lost=400))
    assert dip.words is None


def test_a_picture_that_stutters_against_its_own_usual() -> None:
    told = [dip.what for dip in found(*(row(10 * n, fps=15) for n in range(1, 6)), row(60, fps=4))]
    assert told == ["4 pictures a second"]


def test_a_silent_microphones_few_packets_are_no_percentage() -> None:
    assert found(row(10, source="microphone", packets_lost=2, packets_received=10, mos=2.0)) == []


def test_what_stood_still_and_what_sounded_bad() -> None:
    told = [dip.what for dip in found(row(10, freeze_seconds=2.5), row(30, mos=2.9))]
    assert told == ["picture frozen for 2.5 s", "voice quality 2.9 of 4.4"]


def test_a_bad_stretch_is_told_once_by_the_worst_of_it() -> None:
    rows = [row(10 * n, packets_lost=lost) for n, lost in enumerate((20, 80, 40), start=1)]
    sound = row(20, source="microphone", packets_lost=30)
    (dip,) = found(*rows, sound)
    assert (dip.end, dip.source) == (at(20), "camera")


def test_the_worst_few_in_order_of_time() -> None:
    losses = [20, 40, 60, 80]
    told = found(*(row(20 * n, packets_lost=lost) for n, lost in enumerate(losses, start=1)), most=2)
    assert [dip.end for dip in told] == [at(60), at(80)]
