"""Time on paper: a session's length is `WIDTH` units wide, in lanes and charts alike."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
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
        share = (moment - self.start).total_seconds() / self.seconds
        return round(min(max(share, 0.0), 1.0) * WIDTH, 2)

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


def charts(scale: Scale, readings: Sequence[Mapping[str, Any]]) -> list[Chart]:
    """Bitrate, pictures a second and loss, of what the recorder received."""
    own = [r for r in readings if r["leg"] == "sfu_to_recorder"]
    seen = [r for r in own if r["source"] == "camera"]
    wanted: list[tuple[str, str, str, list[Mapping[str, Any]], float]] = [
        ("Bitrate", "kbit/s", "bitrate_kbps", seen or own, 100.0),
        ("Pictures", "a second", "fps", seen, 15.0),
        ("Packets lost", "%", "loss", [{**r, "loss": loss_of(r)} for r in own], 5.0),
    ]
    made = (_chart(scale, *what) for what in wanted)
    return [chart for chart in made if chart.lines]


def _chart(
    scale: Scale, title: str, unit: str, figure: str, readings: Iterable[Mapping[str, Any]], floor: float
) -> Chart:
    tracks: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
    for reading in readings:
        if reading[figure] is not None:
            tracks.setdefault((reading["identity"], reading["source"]), []).append(reading)
    most = max((r[figure] for track in tracks.values() for r in track), default=0.0)
    top = _round_up(max(most, floor))
    lines = [
        Line(
            identity,
            source,
            _steps(scale, track, figure, top),
            min(r[figure] for r in track),
            max(r[figure] for r in track),
        )
        for (identity, source), track in sorted(tracks.items())
    ]
    return Chart(title, unit, top, lines)


def _steps(scale: Scale, track: Iterable[Mapping[str, Any]], figure: str, top: float) -> str:
    """A reading is level over its interval; where there is none, the line breaks."""
    path, until = [], None
    for reading in sorted(track, key=lambda r: r["read_at"]):
        begin, y = begin_of(reading), round(HEIGHT * (1 - reading[figure] / top), 2)
        joined = until is not None and begin - until <= _BREAK
        path.append(f"V{y:g}" if joined else f"M{scale.at(begin):g} {y:g}")
        path.append(f"H{scale.at(reading['read_at']):g}")
        until = reading["read_at"]
    return "".join(path)


def _round_up(value: float) -> float:
    """To 1, 1.5, 2, 3, 5 or 8 times a power of ten."""
    power = 1.0
    while power * 10 <= value:
        power *= 10
    return next((power * n for n in (1, 1.5, 2, 3, 5, 8) if power * n >= value), power * 10)
