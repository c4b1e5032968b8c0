"""When words began and ended, beside when they were written to have."""

from collections.abc import Iterator, Sequence
from datetime import datetime

import numpy as np

from agent.demo.script import Line
from bench.truths.case import Row

MEDIAN, WORST = 0.15, 0.4  # s; WORST is for the 95th percentile
Entry = dict[str, str]


def rows_of_moments(
    title: str, lines: Sequence[Sequence[Line]], heard: Sequence[Sequence[Entry]]
) -> list[Row]:
    """One row for begins and one for ends, of all speakers; `heard` is ordered like `lines`."""
    matched = [pair for said, entries in zip(lines, heard, strict=True) for pair in _matched(said, entries)]
    spoken = sum(len(said) for said in lines)
    return [
        _row(f"begins: {title}", spoken, [_late(begin, line.begin) for line, begin, _ in matched]),
        _row(f"ends: {title}", spoken, [_late(end, line.end) for line, _, end in matched]),
    ]


def _matched(lines: Sequence[Line], entries: Sequence[Entry]) -> Iterator[tuple[Line, datetime, datetime]]:
    """Each line with the first begin and the last end of what was written while it was said.

    Two lines in one entry would leave the inner moments unmeasured: the entry counts for the line that it
    overlaps most.
    """
    spans = [(datetime.fromisoformat(e["timestamp"]), datetime.fromisoformat(e["end"])) for e in entries]
    of_line: dict[int, list[tuple[datetime, datetime]]] = {}
    for begin, end in spans:
        overlaps = [(min(end, line.end) - max(begin, line.begin)).total_seconds() for line in lines]
        best = int(np.argmax(overlaps))
        if overlaps[best] > 0:
            of_line.setdefault(best, []).append((begin, end))
    for number, found in sorted(of_line.items()):
        yield lines[number], min(begin for begin, _ in found), max(end for _, end in found)


def _late(recorded: datetime, truth: datetime) -> float:
    return (recorded - truth).total_seconds()


def _row(case: str, spoken: int, late: Sequence[float]) -> Row:
    if not late:
        return Row(case, f"{spoken} sentences", "none", "nothing was written", holds=False)
    wrong = np.abs(late)
    median, worst = float(np.median(wrong)), float(np.percentile(wrong, 95))
    return Row(
        case,
        f"{spoken} sentences",
        f"{len(late)}, in the middle {float(np.median(late)):+.2f} s",
        f"median {median:.2f} s, 95 % within {worst:.2f} s",
        holds=median <= MEDIAN and worst <= WORST,
    )
