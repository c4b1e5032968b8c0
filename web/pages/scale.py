"""Time on paper: a session's length is `WIDTH` units wide, in lanes and charts alike."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from operator import itemgetter
from typing import Any

from agent.session.dips import begin_of, loss_of

WIDTH, HEIGHT = 1000.0, 100.0
_LEAST = 1.5  # so wide at least, so that nothing short is invisible
_BREAK = timedelta(seconds=1)  # readings further apart are not joined by a line


@dataclass(frozen=True, slots=True)
class Bar:
    """A stretch of time, in units from the left."""

    x: float
    width: float
    label: str = ""


@dataclass(frozen=True, slots=True)
class Scale:
    """From `start` to `end`."""

    start: datetime
    end: datetime

    @property
    def seconds(self) -> float:
        return max((self.end - self.start).total_seconds(), 1.0)

    def at(self, moment: datetime) -> float:
        """Units from the left, within the paper."""
        if not self.start < moment < self.end:
            return 0.0 if moment <= self.start else WIDTH
        return round((moment - self.start) / (self.end - self.start) * WIDTH, 2)

    def bar(self, begin: datetime, end: datetime, label: str = "") -> Bar:
        x = self.at(begin)
        return Bar(x, max(round(self.at(end) - x, 2), _LEAST), label)

    def ticks(self) -> list[tuple[float, float]]:
        """(units from the left, seconds) of about five round times."""
        step = next(s for s in _STEPS if self.seconds / s <= 6)
        return [
            (round(n * step / self.seconds * WIDTH, 2), float(n * step))
            for n in range(int(self.seconds // step) + 1)
        ]


_STEPS = (5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 21_600, 86_400, 604_800, 10**9)


@dataclass(frozen=True, slots=True)
class Line:
    """One track's figures over time."""

    identity: str
    source: str
    path: str
    least: float
    most: float


@dataclass(frozen=True, slots=True)
class Chart:
    """Figures of all tracks, `top` at the upper edge and 0 at the lower."""

    title: str
    unit: str
    top: float
    lines: list[Line]


@dataclass(frozen=True, slots=True)
class _Step:
    """A reading's interval: its ends on paper, and whether it follows close on the one before it."""

    left: float
    right: float
    joined: bool
    reading: Mapping[str, Any]


_Tracks = dict[tuple[str, str], list[_Step]]
_Figure = Callable[[Mapping[str, Any]], float | None]


def charts(scale: Scale, readings: Sequence[Mapping[str, Any]]) -> list[Chart]:
    """Bitrate, pictures a second and loss, of what the recorder received."""
    tracks = _tracks(scale, readings)
    seen = {who: steps for who, steps in tracks.items() if who[1] == "camera"}
    made = (
        _chart("Bitrate", "kbit/s", seen or tracks, itemgetter("bitrate_kbps"), 100.0),
        _chart("Pictures", "a second", seen, itemgetter("fps"), 15.0),
        _chart("Packets lost", "%", tracks, loss_of, 5.0),
    )
    return [chart for chart in made if chart.lines]


def _tracks(scale: Scale, readings: Iterable[Mapping[str, Any]]) -> _Tracks:
    """The readings of each person's microphone, camera and screen."""
    tracks: _Tracks = {}
    until: dict[tuple[str, str], datetime] = {}
    for reading in sorted(readings, key=itemgetter("read_at")):
        if reading["leg"] != "sfu_to_recorder":
            continue
        who, begin, end = (reading["identity"], reading["source"]), begin_of(reading), reading["read_at"]
        joined = who in until and begin - until[who] <= _BREAK
        tracks.setdefault(who, []).append(_Step(scale.at(begin), scale.at(end), joined, reading))
        until[who] = end
    return tracks


def _chart(title: str, unit: str, tracks: _Tracks, figure: _Figure, floor: float) -> Chart:
    drawn = {who: [(step, figure(step.reading)) for step in steps] for who, steps in sorted(tracks.items())}
    known = {who: [value for _, value in steps if value is not None] for who, steps in drawn.items()}
    top = _round_up(max([floor, *(value for values in known.values() for value in values)]))
    lines = [
        Line(*who, _path(steps, top), min(known[who]), max(known[who]))
        for who, steps in drawn.items()
        if known[who]
    ]
    return Chart(title, unit, top, lines)


def _path(steps: Iterable[tuple[_Step, float | None]], top: float) -> str:
    """A reading is level over its interval; where there is none, the line breaks."""
    path, broken = [], True
    for step, value in steps:
        if value is not None:
            begin = f"M{step.left:g} " if broken or not step.joined else "V"
            path.append(f"{begin}{round(HEIGHT * (1 - value / top), 2):g}H{step.right:g}")
        broken = value is None
    return "".join(path)


def _round_up(value: float) -> float:
    """To 1, 1.5, 2, 3, 5 or 8 times a power of ten."""
    power = 1.0
    while power * 10 <= value:
        power *= 10
    return next((power * n for n in (1, 1.5, 2, 3, 5, 8) if power * n >= value), power * 10)
