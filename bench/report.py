"""The table at the end, and the same as JSON."""

import json
import os
import platform
from collections.abc import Sequence
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

from rich.table import Table

from bench.figures import Cost
from bench.kept import Kept
from bench.latency import TELLING

PACKAGES = ("livekit", "livekit-agents", "livekit-plugins-openai", "livekit-local-inference")
COLUMNS = (
    *("rooms", "cameras", "worker", "CPU", "CPU/room", "x", "idle CPU", "idle MB", "MB/room", "x"),
    *("heard", "kept", "camera", "SFU", "writes", "machine"),
)
LEGEND = """\
CPU: % of one core, all processes of the worker together. Memory: PSS. idle: before any room, warm processes
included. x: share of the baseline's figure in the same case. heard: transcription requests within the window,
and the sound in them. kept: lines of the finished records, warm-up included. writes: of sessions' rows.
machine: % of all cores that were busy, whoever used them; near 100 % a worker gets less done, and its CPU is
too low a figure.\
"""

LATENCY_LEGEND = f"""\
first frame: of sound, after the room's creation, and after its microphone was published. words: in the
journal, after the end of speech and the {TELLING:.2f} s of silence that tell of it. saved: the completed row,
after the last leave. readings off: from ten seconds after the one before. What looks on looks every 20 ms.\
"""


def table(costs: Sequence[Cost], baseline: str) -> Table:
    """One row per measurement, each beside the baseline of its case."""
    result = Table(title="What recording a room costs", caption=LEGEND, caption_justify="left", box=None)
    for name in COLUMNS:
        result.add_column(name, justify="left" if name == "worker" else "right", no_wrap=True)
    for cost in costs:
        beside = next((c for c in costs if c.worker == baseline and _case(c) == _case(cost)), None)
        result.add_row(*_row(cost, beside), end_section=cost is costs[-1])
    return result


def latency_table(costs: Sequence[Cost]) -> Table:
    """How soon each of them did its work."""
    result = Table(
        title="How soon (median / 95 % / worst)", caption=LATENCY_LEGEND, caption_justify="left", box=None
    )
    for name in (
        "rooms",
        "cameras",
        "worker",
        "first frame",
        "from the mic",
        "words",
        "saved",
        "readings off",
    ):
        result.add_column(name, justify="left" if name == "worker" else "right", no_wrap=True)
    for cost in costs:
        if seen := cost.latencies:
            spreads = (seen.join, seen.listen, seen.utterance, seen.save, seen.punctuality)
            told = (str(spread) if spread else "-" for spread in spreads)
            result.add_row(str(cost.rooms), "2" if cost.cameras else "-", cost.worker, *told)
    return result


def write_json(path: Path, costs: Sequence[Cost], run: dict[str, Any]) -> None:
    """Everything measured, and where."""
    machine = {"cores": os.cpu_count(), "machine": platform.machine(), "python": platform.python_version()}
    figures = [asdict(c) | {"cpu_per_room": c.cpu_per_room, "mb_per_room": c.mb_per_room} for c in costs]
    versions = {package: version(package) for package in PACKAGES}
    everything = {"run": run, "machine": machine, "versions": versions, "costs": figures}
    path.write_text(json.dumps(everything, indent=2) + "\n")


def _row(cost: Cost, beside: Cost | None) -> tuple[str, ...]:
    return (
        str(cost.rooms),
        "2" if cost.cameras else "-",
        cost.worker,
        f"{cost.cpu:.1f} %",
        f"{cost.cpu_per_room:.1f} %",
        _ratio(cost.cpu_per_room, beside.cpu_per_room if beside else None),
        f"{cost.idle_cpu:.1f} %",
        f"{cost.idle_mb:.0f}",
        f"{cost.mb_per_room:.1f}",
        _ratio(cost.mb_per_room, beside.mb_per_room if beside else None),
        f"{cost.utterances} ({cost.speech_seconds:.0f} s)",
        str(cost.kept.lines) if cost.kept else "-",
        _camera(cost.kept),
        f"{cost.sfu_cpu:.0f} %",
        f"{cost.writes:.1f}/s",
        f"{cost.machine_busy:.0f} %",
    )


def _camera(kept: Kept | None) -> str:
    if kept is None or kept.camera_fps is None or kept.camera_kbps is None:
        return "-"
    return f"{kept.camera_fps:.1f} fps, {kept.camera_kbps:.0f} kbit/s"


def _case(cost: Cost) -> tuple[int, bool]:
    return cost.rooms, cost.cameras


def _ratio(ours: float, theirs: float | None) -> str:
    return f"{ours / theirs:.2f}" if theirs and theirs > 0 else "-"
