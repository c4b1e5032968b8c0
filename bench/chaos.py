"""Is every session still there, once, when anything is killed at any time? Real rooms, real kills, one table.

Run it with `python -m bench.chaos all`, or one promise at a time: each is a command. Real LiveKit server,
real PostgreSQL, real workers, real clients who talk; a Whisper that answers at once, so that two cores
suffice. It ends with a table, and with exit code 1 if a promise is broken.
"""

import os
import sys
from pathlib import Path
from typing import Annotated, Literal

import typer

from bench.command import help_of, new_app, run, say
from bench.disasters.at_random import Plan, strike_at_random
from bench.disasters.deploy import rolling_deploy
from bench.disasters.endurance import one_after_another
from bench.disasters.outage import database_away
from bench.disasters.running import Output, Scenario, on_a_rig, run_all
from bench.disasters.steps import STEPS, play_in_turn
from bench.disasters.twice import two_recorders
from bench.disasters.unwatched import hung_while_acting, hung_worker, no_worker

app = new_app()
Rooms = Annotated[int, typer.Option(min=1, help="Rooms in all")]
RandomRooms = Annotated[int, typer.Option(min=0, help="Rooms in which to kill at random; 0: none")]
AtATime = Annotated[int, typer.Option(min=1, help="Rooms at a time")]
Lasting = Annotated[float, typer.Option(min=5, help="Seconds that a room lasts, more or less")]
Pause = Annotated[float, typer.Option(min=1, help="Seconds for which a host stands still")]
Away = Annotated[float, typer.Option(min=1, help="Seconds for which the database is away")]
First = Annotated[int, typer.Option(min=1, help="Rooms after which the worker is weighed first")]
Seed = Annotated[int, typer.Option(help="Of what is random")]
Jobs = Literal["process", "thread"]
Dispatch = Literal["own", "automatic"]
StepWords = Annotated[
    list[str] | None,
    typer.Argument(help="Only named steps whose names contain one of these, nothing at random"),
]


@app.callback(help=help_of(__doc__))
def options(
    context: typer.Context,
    markdown: Annotated[bool, typer.Option(help="Print the table as Markdown")] = False,
    json_file: Annotated[
        Path | None, typer.Option("--json", help="Write all rows to this file", dir_okay=False)
    ] = None,
    keep: Annotated[bool, typer.Option(help="Keep all logs, and say where")] = False,
    jobs: Annotated[Jobs, typer.Option(help="What runs a room's recorder")] = "process",
    dispatch: Annotated[Dispatch, typer.Option(help="How a recorder comes to a room")] = "own",
) -> None:
    os.environ |= {"RECORDER_JOBS": jobs, "RECORDER_DISPATCH": dispatch}  # of all workers to come
    context.obj = Output(markdown, json_file, keep)


@app.command()
def kills(
    context: typer.Context,
    words: StepWords = None,
    rooms: RandomRooms = 100,
    at_a_time: AtATime = 4,
    seconds: Lasting = 40.0,
    pause: Pause = 60.0,
    seed: Seed = 1,
    steps: Annotated[bool, typer.Option(help="Kill at each named step")] = True,
) -> None:
    """1. Kill job, worker, PostgreSQL, SFU, Whisper: at each named step, then at random in many rooms."""
    plan = Plan(0 if words else rooms, at_a_time, seconds, pause, seed)
    _finish(context, _kills(plan, words, named=steps))


@app.command()
def unwatched(context: typer.Context, rooms: Rooms = 4) -> None:
    """2. Rooms that begin while no worker runs, or while one hangs beside a healthy one."""
    _finish(context, _unwatched(rooms))


@app.command()
def outage(context: typer.Context, rooms: Rooms = 8, away: Away = 600.0) -> None:
    """3. The database is away while rooms end."""
    _finish(context, _outage(rooms, away))


@app.command()
def deploy(
    context: typer.Context, rooms: Rooms = 16, at_a_time: AtATime = 4, seconds: Lasting = 25.0, seed: Seed = 1
) -> None:
    """4. Two workers are replaced under load."""
    _finish(context, _deploy(rooms, at_a_time, seconds, seed))


@app.command()
def endurance(context: typer.Context, rooms: Rooms = 500, first: First = 50) -> None:
    """5. Many rooms one after another through one worker: memory, processes, files, tasks."""
    if first >= rooms:
        raise typer.BadParameter("fewer than --rooms", param_hint="--first")
    _finish(context, _endurance(rooms, first))


@app.command(name="all")
def everything(context: typer.Context, seed: Seed = 1) -> None:
    """All five, as large as promised (about 100 minutes)."""
    _finish(
        context,
        [
            *_kills(Plan(100, 4, 40.0, 60.0, seed), None),
            *_unwatched(4),
            *_outage(8, 600.0),
            *_deploy(16, 4, 25.0, seed),
            *_endurance(500, 50),
        ],
    )


@app.command(name="steps")
def list_steps() -> None:
    """Name the steps at which `kills` kills."""
    for step in STEPS:
        print(step.case)


def _kills(plan: Plan, words: list[str] | None, *, named: bool = True) -> list[Scenario]:
    chosen = [step for step in STEPS if named and (not words or any(word in step.case for word in words))]
    if words and not chosen and not plan.rooms:
        raise typer.BadParameter("no step has such a name; `steps` names them all")
    at_random = on_a_rig(lambda rig: strike_at_random(rig, plan, say))
    return [
        *(
            [Scenario("kills at named steps", lambda folder: play_in_turn(folder, chosen, say))]
            if chosen
            else []
        ),
        *([Scenario("kills at random", at_random)] if plan.rooms else []),
    ]


def _unwatched(rooms: int) -> list[Scenario]:
    return [
        Scenario("no worker", on_a_rig(lambda rig: no_worker(rig, rooms))),
        Scenario("a hung worker", on_a_rig(lambda rig: hung_worker(rig, rooms))),
        Scenario("one that hangs while it acts", on_a_rig(lambda rig: hung_while_acting(rig, rooms))),
        Scenario("two recorders in one room", on_a_rig(two_recorders)),
    ]


def _outage(rooms: int, away: float) -> list[Scenario]:
    return [Scenario("database away", on_a_rig(lambda rig: database_away(rig, away, rooms, say)))]


def _deploy(rooms: int, at_a_time: int, seconds: float, seed: int) -> list[Scenario]:
    play = on_a_rig(lambda rig: rolling_deploy(rig, rooms, at_a_time, seconds, seed, say))
    return [Scenario("rolling deploy", play)]


def _endurance(rooms: int, first: int) -> list[Scenario]:
    return [Scenario("endurance", on_a_rig(lambda rig: one_after_another(rig, rooms, first, say)))]


def _finish(context: typer.Context, scenarios: list[Scenario]) -> None:
    output: Output = context.obj
    sys.exit(0 if run_all(scenarios, output) else 1)


if __name__ == "__main__":
    run(app)
