"""A picture in text of who was there, and when they spoke."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from rich.table import Table
from rich.text import Text

Row = Mapping[str, Any]

AWAY, THERE, SPEAKING = " ", "─", "█"
LEGEND = f"{THERE} there  {SPEAKING} speaking"
GUTTER = 2  # between columns of the table
LEAST_WIDTH = 20


def timeline(session: Row, participants: Sequence[Row], width: int) -> Table:
    """A bar for each identity over the session's length, and their stays in figures, in `width` columns."""
    begin = session["start_time"]
    latest = [row["left_at"] or row["joined_at"] for row in participants]
    end = session["end_time"] or max(latest, default=begin)
    stays: dict[str, list[Row]] = {}
    for row in participants:
        stays.setdefault(row["identity"], []).append(row)
    figures = {identity: _in_figures(begin, own) for identity, own in stays.items()}
    taken = max(map(len, stays), default=0) + max(map(len, [LEGEND, *figures.values()])) + 2 * GUTTER
    scale = _Scale(begin, max(end - begin, timedelta(seconds=1)), max(width - taken, LEAST_WIDTH))
    table = Table(box=None, padding=(0, GUTTER, 0, 0), pad_edge=False, show_header=False)
    for identity, own in stays.items():
        words = [entry for entry in session["transcript"] if entry["identity"] == identity]
        bar = Text(_bar(scale, end, own, words), no_wrap=True)
        table.add_row(Text(identity), bar, Text(figures[identity], style="dim"))
    table.add_row("", _axis(scale), Text(LEGEND, style="dim"))
    return table


class _Scale:
    """Moments to columns, `width` columns for `length`."""

    def __init__(self, begin: datetime, length: timedelta, width: int) -> None:
        self.begin, self.length, self.width = begin, length, width

    def columns(self, begin: datetime, end: datetime) -> range:
        """The columns that the time span touches: one at least, so that nothing short is invisible."""
        first = min(max(int((begin - self.begin) / self.length * self.width), 0), self.width - 1)
        last = min(max(round((end - self.begin) / self.length * self.width), first + 1), self.width)
        return range(first, last)


def _bar(scale: _Scale, end: datetime, stays: Sequence[Row], words: Sequence[Row]) -> str:
    bar = [AWAY] * scale.width
    for stay in stays:
        for column in scale.columns(stay["joined_at"], stay["left_at"] or end):
            bar[column] = THERE
    for entry in words:
        said = (datetime.fromisoformat(entry[key]) for key in ("timestamp", "end"))
        for column in scale.columns(*said):
            bar[column] = SPEAKING
    return "".join(bar)


def _axis(scale: _Scale) -> Text:
    end = _clock(scale.length)
    return Text("0:00" + end.rjust(scale.width - 4), style="dim")


def _in_figures(begin: datetime, stays: Sequence[Row]) -> str:
    spans = (
        (_clock(stay["joined_at"] - begin), _clock(stay["left_at"] - begin) if stay["left_at"] else "now")
        for stay in stays
    )
    return ", ".join(f"{joined} to {left}" for joined, left in spans)


def _clock(length: timedelta) -> str:
    minutes, seconds = divmod(int(length.total_seconds()), 60)
    return f"{minutes}:{seconds:02d}"
