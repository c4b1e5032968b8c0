"""From what happened in some rooms to the lines of the table about them."""

import asyncio
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from datetime import timedelta

from bench.disasters.people import Truth
from bench.disasters.rig import Rig, session_of
from bench.disasters.rows import Row, count
from bench.disasters.verdict import Findings, Loss, judge
from bench.stack import until

SETTLED_SECONDS = 150.0
MOST_TOLD = 3
SUBSCRIBING = timedelta(seconds=1)
STUTTERED = 0.1  # of the spoken sentences at most, for the rest to tell something


async def settled(rig: Rig, rooms: Sequence[str], within: float = SETTLED_SECONDS) -> bool:
    """Wait until all these rooms' sessions are completed and let go, and nothing waits on disk."""
    try:
        await until(lambda: _all_done(rig, rooms), within=within, every=0.5)
    except TimeoutError:
        return False
    return True


async def _all_done(rig: Rig, rooms: Sequence[str]) -> bool:
    done = await rig.pool.fetchval(
        "select count(*) from sessions"
        " where session_id = any($1) and status = 'completed' and lease_owner is null",
        [session_of(room) for room in rooms],
    )
    waiting = [
        *rig.spool.glob("*.jsonl"),
        *rig.spool.glob("audio/*.utterance"),
        *rig.spool.glob("audio/*.speaking"),
    ]
    return bool(done == len(rooms)) and not waiting


async def findings_of(
    rig: Rig, truths: Sequence[Truth], losses: Mapping[str, Sequence[Loss]]
) -> list[Findings]:
    """Each room's record beside what happened in it."""

    async def one(truth: Truth) -> Findings:
        arrival = _arrival(rig, truth)
        rows = await rig.pool.fetchval("select count(*) from sessions where room_name = $1", truth.room)
        return judge(truth, await rig.record(truth.room), rows, [*arrival, *losses.get(truth.room, ())])

    return await asyncio.gather(*map(one, truths))


async def judged(
    rig: Rig, case: str, truths: Sequence[Truth], losses: Mapping[str, Sequence[Loss]] | None = None
) -> list[Row]:
    """Wait until all is written, and compare."""
    all_settled = await settled(rig, [truth.room for truth in truths])
    found = await findings_of(rig, truths, losses or {})
    _keep(rig, found, truths, losses or {})
    rows = table_of(case, found)
    stuttered = sum(truth.stuttered for truth in truths)
    aloud = stuttered + sum(said.text is None for truth in truths for said in truth.said)
    if stuttered > STUTTERED * aloud:
        told = f"{stuttered} of {aloud} garbled by this machine"
        rows.append(Row(case, "sentences spoken as written", f">= {1 - STUTTERED:.0%}", told, ok=False))
    if not all_settled:
        rows.append(Row(case, "nothing left waiting", "nothing", _what_waits(rig), ok=False))
    return rows


def _keep(
    rig: Rig, found: Sequence[Findings], truths: Sequence[Truth], losses: Mapping[str, Sequence[Loss]]
) -> None:
    """Beside the logs, for whoever looks for the cause of what is wrong."""
    rooms = [
        asdict(one)
        | {"stays": list(map(asdict, truth.stays)), "losses": list(map(asdict, losses.get(one.room, ())))}
        for one, truth in zip(found, truths, strict=True)
    ]
    (rig.spool.parent / "findings.json").write_text(json.dumps(rooms, default=str, indent=1) + "\n")


def _arrival(rig: Rig, truth: Truth) -> list[Loss]:
    """Until the first recorder has subscribed to those who were there before it."""
    began = rig.log("recording_began", room=truth.room)
    return [Loss(truth.stays[0].joined_at, began[0]["at"] + SUBSCRIBING)] if began else []


def table_of(case: str, found: Sequence[Findings]) -> list[Row]:
    """The lines that every case has."""
    lost = [said for one in found for said in one.lost]
    unnoted = [said for one in found for said in one.unnoted]
    wrong = [what for one in found for what in one.wrong_stays]
    said, missed = sum(one.said for one in found), sum(one.missed for one in found)
    off = [seconds for one in found for seconds in one.left_off]
    return [
        count(case, "sessions saved", len(found), sum(one.saved for one in found)),
        count(case, "doubled sessions, words", 0, sum(one.doubled for one in found)),
        Row(
            case,
            "stays as the clients had them",
            "0 wrong",
            f"{len(wrong)} wrong; leaves at most {max(off, default=0):.2f} s off " + _some(wrong),
            not wrong,
        ),
        Row(
            case,
            "words ended > 1 s before a kill",
            "0 lost",
            f"{len(lost)} lost of {said} ({missed} not heard) "
            + _some(f"{s.identity} {s.begin}" for s in lost),
            not lost and said > 0,
        ),
        count(
            case,
            "missed words outside a noted gap",
            0,
            len(unnoted),
            _some(f"{s.identity} {s.begin:%H:%M:%S.%f}" for s in unnoted),
        ),
    ]


def _some(things: Iterable[str]) -> str:
    """A few of them, to look for."""
    named = list(things)
    return f"({'; '.join(named[:MOST_TOLD])}{' …' if len(named) > MOST_TOLD else ''})" if named else ""


def _what_waits(rig: Rig) -> str:
    files = [path.suffix for path in rig.spool.rglob("*") if path.is_file()]
    return f"{len(files)} files on disk {' '.join(sorted(set(files)))}"
