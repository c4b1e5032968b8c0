"""A thin uplink: a publisher that starves; and one with simulcast, of which the server forwards one layer."""

import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from itertools import groupby
from typing import Any

from agent.demo.bad_line import GOOD, TO_SFU, Conditions
from agent.demo.camera import Camera
from bench.stack import new_room, until
from bench.truths.bad_room import bad_stack
from bench.truths.case import Case, Rig, Row
from bench.truths.laid_beside import Pair, bitrate_row, fps_row, readings_of
from bench.truths.sent import Sent

THIN = Conditions(kbps=150, queue=0.5)
PHASES = ((GOOD, 25.0), (THIN, 30.0), (GOOD, 45.0))
ADAPTING = timedelta(seconds=5)  # until the publisher sends no more than the line takes
ONE_LAYER, THREE_LAYERS = (640, 360), (960, 540)


async def starving(rig: Rig) -> list[Row]:
    """One layer, whose bitrate follows the line."""
    record, sent = await _on_a_thin_line(rig, "starving", ONE_LAYER)
    readings = readings_of(record, "camera")
    calm = [(sent.of(reading), reading) for reading in readings if not _line_changed(record, reading)]
    name = "a publisher that starves"
    return [bitrate_row(name, calm), fps_row(name, calm)]


async def switching(rig: Rig) -> list[Row]:
    """Three layers: the larger ones stop while the line is thin, and come back."""
    record, sent = await _on_a_thin_line(rig, "switching", THREE_LAYERS)
    readings = readings_of(record, "camera")
    widths = [reading["width"] for reading in readings]
    unswitched: list[Pair] = [
        (sent.of(reading), reading)
        for before, reading in zip([widths[0], *widths], readings, strict=False)
        if before == reading["width"] and not _line_changed(record, reading)
    ]
    order = " ".join(str(width) for width, _ in groupby(widths))
    return [
        Row(
            "simulcast: widths",
            "960, then less",
            order,
            "",
            order.startswith("960 ") and len(set(widths)) > 1,
        ),
        bitrate_row("simulcast: within one layer", unswitched),
        fps_row("simulcast: within one layer", unswitched),
    ]


def _line_changed(record: Mapping[str, Any], reading: Mapping[str, Any]) -> bool:
    """Whether the line became thin in the reading's time: what it dropped then never reached the server."""
    thin_at: datetime = record["thin_at"]
    begin = reading["read_at"] - timedelta(seconds=reading["seconds"])
    return bool(begin < thin_at + ADAPTING and reading["read_at"] > thin_at)


async def _on_a_thin_line(rig: Rig, name: str, size: tuple[int, int]) -> tuple[Mapping[str, Any], Sent]:
    """The line is good, thin and good again."""
    camera = Camera(size, 15, simulcast=size == THREE_LAYERS)
    thin_at = datetime.now(UTC)
    with bad_stack(rig.folder / name, rig.postgres, rig.whisper_url) as bad:
        room, sent = new_room(), Sent()
        async with bad.stack.joining(room, "student-1", microphone=False) as student:
            await until(lambda: bad.stack.log("recording_began", room=room))
            async with sent.publishing(student, camera):
                for conditions, seconds in PHASES:
                    if conditions == THIN:
                        thin_at = datetime.now(UTC)
                    bad.line.set(TO_SFU, conditions)
                    await asyncio.sleep(seconds)
        return {**await bad.stack.completed(room), "thin_at": thin_at}, sent


CASES = [Case("starving publisher", 120, starving), Case("simulcast layers", 120, switching)]
