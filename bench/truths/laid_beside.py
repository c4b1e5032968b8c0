"""Stored readings beside what was sent, as rows of the table."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from bench.truths.case import Row
from bench.truths.sent import Sent, Span

PERCENT = 5.0  # how far a bitrate may be from the truth
FRAMES = 1.0  # how many frames a second
# A frame may be on its way as a reading begins and as it ends. A silent microphone (DTX) sends 1 kbit/s, of
# which a few packets more or less are much: it is within 0.2 kbit/s.
LEAST_KBPS = 0.2

Reading = Mapping[str, Any]
Pair = tuple[Span, Reading]


def readings_of(record: Mapping[str, Any], source: str) -> list[Reading]:
    """The recorder's own readings of a record."""
    return [r for r in record["readings"] if r["source"] == source and r["leg"] == "sfu_to_recorder"]


def rows_of(case: str, record: Mapping[str, Any], sent: Sent) -> list[Row]:
    """Every reading of cameras beside the publisher's counters, and the session's averages."""
    readings = without_last(readings_of(record, "camera"))
    pairs = [(sent.of(reading), reading) for reading in readings]
    return [bitrate_row(case, pairs), fps_row(case, pairs), average_row(case, record, sent.average)]


def without_last(readings: Sequence[Reading]) -> list[Reading]:
    """All but each track's last: its packets arrive after the publisher left, with whom its counters end."""
    last = {reading["track_sid"]: reading["read_at"] for reading in readings}
    return [reading for reading in readings if reading["read_at"] != last[reading["track_sid"]]]


def bitrate_row(case: str, pairs: Sequence[Pair]) -> Row:
    """Within 5 % each, or within two frames, or 0.2 kbit/s."""
    errors = [percent(reading["bitrate_kbps"], span.kbps) for span, reading in pairs]
    off = [
        pair
        for pair, error in zip(pairs, errors, strict=True)
        if error > PERCENT
        and _bytes_apart(*pair) > 2 * _frame(pair[0])
        and abs(pair[1]["bitrate_kbps"] - pair[0].kbps) > LEAST_KBPS
    ]
    return Row(
        f"{case}: bitrate",
        _range((span.kbps for span, _ in pairs), "kbit/s"),
        _range((reading["bitrate_kbps"] for _, reading in pairs), "kbit/s"),
        f"worst of {len(pairs)} readings {max(errors, default=0):.1f} %",
        bool(pairs) and not off,
    )


def fps_row(case: str, pairs: Sequence[Pair]) -> Row:
    errors = [abs(reading["fps"] - span.fps) for span, reading in pairs]
    return Row(
        f"{case}: fps",
        _range((span.fps for span, _ in pairs), "fps"),
        _range((reading["fps"] for _, reading in pairs), "fps"),
        f"worst of {len(pairs)} readings {max(errors, default=0):.2f}",
        bool(errors) and max(errors) <= FRAMES,
    )


def average_row(case: str, record: Mapping[str, Any], truth: Span) -> Row:
    kbps, fps = (record["quality_metrics"][f"average_{what}"] for what in ("bitrate", "fps"))
    if kbps is None or fps is None:
        return Row(f"{case}: average", f"{truth.kbps:.0f} kbit/s", "none", "missing", holds=False)
    return Row(
        f"{case}: average",
        f"{truth.kbps:.0f} kbit/s, {truth.fps:.1f} fps",
        f"{kbps:.0f} kbit/s, {fps:.1f} fps",
        f"{percent(kbps, truth.kbps):.1f} %, {abs(fps - truth.fps):.2f} fps",
        percent(kbps, truth.kbps) <= PERCENT and abs(fps - truth.fps) <= FRAMES,
    )


def percent(recorded: float, truth: float) -> float:
    """How far from the truth, in percent of it."""
    return 100 * abs(recorded - truth) / truth if truth else (100.0 if recorded else 0.0)


def _frame(span: Span) -> float:
    return span.bytes_sent / span.frames_sent if span.frames_sent else 0.0


def _bytes_apart(span: Span, reading: Reading) -> float:
    kbps: float = reading["bitrate_kbps"]
    return abs(kbps - span.kbps) * span.seconds * 1000 / 8


def _range(values: Iterable[float], unit: str) -> str:
    known = sorted(values)
    return f"{known[0]:.4g} to {known[-1]:.4g} {unit}" if known else "none"
