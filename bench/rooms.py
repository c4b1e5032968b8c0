"""What recording a room costs in CPU and memory, beside the usual way: an AgentSession for every participant.

Run it with `python -m bench.rooms`. One after the other, both workers meet the same real LiveKit server,
the same real clients and a Whisper that answers at once. Other work on the machine disturbs both: trust the
ratios.
"""

import signal
import sys
import tempfile
import time
from pathlib import Path
from typing import Annotated, Any

import typer

from agent.quality import BEGINNING_SECONDS
from agent.session.errors import RecorderError
from bench.camera_loop import encode
from bench.command import ascending, help_of, new_app, run, say, table_console
from bench.figures import Case, Cost, Worker
from bench.measure import measure
from bench.report import latency_table, table, write_json
from bench.services import Services, services

BASELINE = Worker("AgentSession each", ("bench.session_per_participant",), {}, records=False)
START = ("agent", "start")
VIDEO = {
    way: Worker(f"recorder, video {way}", START, {"RECORDER_VIDEO": way})
    for way in ("always", "sampled", "never")
}
SAMPLED_AFTER = BEGINNING_SECONDS + 15  # until then all cameras are subscribed
RECORDERS = {
    jobs: Worker(f"recorder, a {jobs} each", START, {"RECORDER_JOBS": jobs}) for jobs in ("process", "thread")
}

app = new_app()


@app.command(help=help_of(__doc__))
def rooms(
    rooms: Annotated[str, typer.Option(help="Numbers of rooms, ascending, each with two talkers")] = "1,4",
    seconds: Annotated[float, typer.Option(min=5, help="Length of each measurement")] = 60.0,
    warm_up: Annotated[float, typer.Option(min=0, help="Seconds of talk before each measurement")] = 15.0,
    audio: Annotated[bool, typer.Option(help="Measure rooms without cameras")] = True,
    cameras: Annotated[
        bool, typer.Option(help="Measure rooms with two 720p cameras, each way to record them")
    ] = True,
    jobs: Annotated[str, typer.Option(help="Recorders measured without cameras")] = ",".join(RECORDERS),
    baseline: Annotated[bool, typer.Option(help="Measure the usual way too")] = True,
    json: Annotated[Path | None, typer.Option(help="Write all figures to this file", dir_okay=False)] = None,
) -> None:
    if not Path("/proc/self/smaps_rollup").exists():
        raise RecorderError("proportional memory (smaps_rollup) is known on Linux only")
    plan: list[tuple[Worker, Case]] = []
    for media in [False] * audio + [True] * cameras:
        for count in ascending(rooms, "--rooms", least=1):
            case = Case(count, media, max(warm_up, SAMPLED_AFTER) if media else warm_up, seconds)
            recorders = VIDEO.values() if media else _recorders(jobs)
            workers = [*([BASELINE] if baseline else []), *recorders]
            plan += [(worker, case) for worker in workers]
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # ends our children too, as Ctrl-C does
    costs: list[Cost] = []
    try:
        _run(plan, costs)
    finally:
        if costs:
            _report(
                costs, json, {"seconds": seconds, "warm_up": warm_up, "complete": len(costs) == len(plan)}
            )


def _run(plan: list[tuple[Worker, Case]], costs: list[Cost]) -> None:
    """Measure all, one after the other; what is done is in `costs` whatever happens to the rest."""
    took = sum(case.seconds + case.warm_up + 35 for _, case in plan) / 60
    say(f"{len(plan)} measurements, about {took:.0f} minutes; starting LiveKit, PostgreSQL, instant Whisper")
    with tempfile.TemporaryDirectory(prefix="rooms-") as name, services(Path(name)) as given:
        loop = Path(name) / "camera.ivf"
        if any(case.cameras for _, case in plan):
            say("encoding the cameras' picture, once")
            encode(loop)
        for number, (worker, case) in enumerate(plan, start=1):
            what = f"{case.rooms} room{'s' * (case.rooms > 1)}, {'cameras' if case.cameras else 'audio only'}"
            costs.append(_told(worker, case, given, loop, f"[{number}/{len(plan)}] {worker.name}, {what}"))


def _told(worker: Worker, case: Case, given: Services, camera: Path, prefix: str) -> Cost:
    """Measure, and say how it goes."""
    began = time.monotonic()
    say(f"{prefix}: starting")
    cost = measure(worker, case, given, camera, lambda line: say(f"{prefix}: {line}"))
    say(f"{prefix}: {cost.cpu_per_room:.1f} % of a core and {cost.mb_per_room:.1f} MB per room")
    if cost.kept:
        say(f"{prefix}: of {cost.asked} utterances heard in all, {cost.kept.lines} are in the records")
    say(f"{prefix}: {cost.utterances} utterances heard meanwhile; {cost.kept or 'keeps no record'}")
    say(f"{prefix}: done after {time.monotonic() - began:.0f} s")
    return cost


def _report(costs: list[Cost], json: Path | None, run: dict[str, Any]) -> None:
    table_console().print(table(costs, BASELINE.name))
    table_console().print(latency_table(costs))
    if json:
        write_json(json, costs, run)
        say(f"figures in {json}")


def _recorders(jobs: str) -> list[Worker]:
    names = jobs.split(",")
    if not RECORDERS.keys() >= set(names):
        raise typer.BadParameter(f"of {', '.join(RECORDERS)}", param_hint="--jobs")
    return [RECORDERS[name] for name in names]


if __name__ == "__main__":
    run(app)
