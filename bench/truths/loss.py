"""Loss, jitter and delay: what a relay did to the packets, beside what the recorder says was done."""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from agent.demo.bad_line import GOOD, TO_CLIENT, TO_SFU, BadLine, Conditions, Count
from agent.demo.line_conditions import Direction
from bench.truths.bad_room import BadRoom, BadStack, all_hum, bad_room, bad_stack
from bench.truths.case import Case, Rig, Row

SECONDS = 60
LOSSES = (0, 1, 5, 10)  # percent
BURST = 50  # packets in a row: a second of sound
POINTS = 0.5  # how far a share of lost packets may be off, in points of percent
LEGS = {TO_SFU: "client_to_sfu", TO_CLIENT: "sfu_to_recorder"}
NAMES = {TO_SFU: "client to server", TO_CLIENT: "server to recorder"}


@dataclass(frozen=True)
class Measured:
    """One publisher: what the relay counted in each direction, and what was recorded of them."""

    what: str
    to_sfu: Count
    to_client: Count
    figures: dict[str, Any]
    readings: list[dict[str, Any]]

    def lost(self, direction: Direction) -> float:
        """Percent of what was sent that the relay dropped."""
        count = self.to_sfu if direction == TO_SFU else self.to_client
        return share(count.dropped, count.passed + count.dropped)

    def recorded(self, direction: Direction) -> float:
        percent = self.figures["packet_loss_by_leg"][LEGS[direction]]
        return float("nan") if percent is None else float(percent)


def share(part: float, whole: float) -> float:
    return 100 * part / whole if whole else 0.0


async def loss_of(rig: Rig, direction: Direction, kind: Any) -> tuple[list[Measured], int]:
    """One room, each publisher with a loss of their own on that leg, and one with a burst.

    Also how many retransmissions reached the recorder, of all together.
    """
    cases = {f"student-{percent}": f"{percent} %" for percent in LOSSES} | {"student-burst": "a burst"}
    with bad_stack(rig.folder / f"{kind}-{direction}", rig.postgres, rig.whisper_url) as bad:
        async with bad_room(bad, list(cases), kind) as room:
            for percent in LOSSES:
                ssrc = room.publishers[f"student-{percent}"].ssrcs[direction]
                bad.line.set(direction, Conditions(loss=percent / 100), ssrc=ssrc)
            await asyncio.gather(_show(room, kind), _burst(bad.line, room, direction, kind))
        found = await measured(bad, room, cases)
        return found, sum(c.passed for c in bad.line.counts(TO_CLIENT) if c.kind == "rtx")


async def _show(room: BadRoom, kind: str) -> None:
    await (all_hum(room, SECONDS) if kind == "audio" else asyncio.sleep(SECONDS))


async def _burst(line: BadLine, room: BadRoom, direction: Direction, kind: str) -> None:
    """A third into the session: so many packets, or of a camera a second and what would repair it."""
    await asyncio.sleep(SECONDS / 3)
    ssrc = room.publishers["student-burst"].ssrcs[direction]
    if kind == "audio":
        line.drop_next(direction, ssrc, BURST)
    else:
        line.set(direction, Conditions(loss=1), ssrc=ssrc)
        await asyncio.sleep(1)
        line.set(direction, GOOD, ssrc=ssrc)


async def measured(bad: BadStack, room: BadRoom, cases: dict[str, str]) -> list[Measured]:
    """What became of everybody, once the record is complete."""
    record = await bad.stack.completed(room.name)
    return [
        Measured(
            what,
            publisher.count(bad.line, TO_SFU),
            publisher.count(bad.line, TO_CLIENT),
            record["quality_metrics"]["participants"][identity],
            [r for r in record["readings"] if r["identity"] == identity],
        )
        for identity, what in cases.items()
        for publisher in [room.publishers[identity]]
    ]


async def audio_loss(rig: Rig, direction: Direction) -> list[Row]:
    """By leg: what was lost there is said of it, and nothing of the other."""
    found, _ = await loss_of(rig, direction, "audio")
    rows = [leg_row(f"audio, {one.what} lost, {NAMES[direction]}", one, direction) for one in found]
    return [*rows, _scores_fall(found, direction), *_concealed(found, direction)]


def leg_row(case: str, one: Measured, direction: Direction) -> Row:
    other: Direction = TO_CLIENT if direction == TO_SFU else TO_SFU
    error = max(abs(one.recorded(leg) - one.lost(leg)) for leg in (TO_SFU, TO_CLIENT))
    count = one.to_sfu if direction == TO_SFU else one.to_client
    return Row(
        case,
        f"{one.lost(direction):.2f} % ({count.dropped} of {count.dropped + count.passed})",
        f"{one.recorded(direction):.2f} % {LEGS[direction]}, {one.recorded(other):.2f} % {LEGS[other]}",
        f"{error:.2f} points",
        error <= POINTS,
    )


def _scores_fall(found: Iterable[Measured], direction: Direction) -> Row:
    scores = [one.figures["average_mos"] for one in found if one.what != "a burst"]
    falls = all(better > worse for better, worse in pairwise(scores))
    losses = ", ".join(f"{percent} %" for percent in LOSSES)
    return Row(
        f"MOS falls with loss, {NAMES[direction]}",
        f"falling, at {losses} lost",
        ", ".join(f"{score:.2f}" for score in scores),
        "in order" if falls else "not in order",
        falls,
    )


def _concealed(found: Iterable[Measured], direction: Direction) -> list[Row]:
    """A second that never came is a second of invented sound; without loss next to none is."""
    rows = []
    for one in found:
        if one.what not in ("0 %", "a burst"):
            continue
        seconds = sum(r["concealed_percentage"] / 100 * r["seconds"] for r in one.readings)
        lost = 0.02 * (one.to_sfu.dropped + one.to_client.dropped)
        rows.append(
            Row(
                f"concealed sound, {one.what}, {NAMES[direction]}",
                f"{lost:.2f} s never came",
                f"{seconds:.2f} s concealed",
                f"{seconds - lost:+.2f} s",
                abs(seconds - lost) <= 0.5,
            )
        )
    return rows


async def delay(rig: Rig) -> list[Row]:
    """50 ms each way, and up to 40 ms more towards the recorder."""
    with bad_stack(rig.folder / "delay", rig.postgres, rig.whisper_url) as bad:
        async with bad_room(bad, ["student-1"], "audio") as room:
            bad.line.set(TO_SFU, Conditions(delay=0.05))
            bad.line.set(TO_CLIENT, Conditions(delay=0.05, jitter=0.04))
            await all_hum(room, SECONDS)
        (one,) = await measured(bad, room, {"student-1": ""})
    readings = one.readings[2:]  # jitter is a mean over the packets of the last seconds, from 0 at first
    jitter, round_trip = (
        sum(r[name] for r in readings) / len(readings) for name in ("jitter_ms", "round_trip_ms")
    )
    return [
        _milliseconds("round trip, 50 ms each way and 0 to 40 ms more", 120, round_trip, 25),
        _milliseconds(
            "jitter, 0 to 40 ms from packet to packet", 1000 * one.to_client.mean_jitter, jitter, 3
        ),
    ]


def _milliseconds(case: str, truth: float, recorded: float, target: float) -> Row:
    error = recorded - truth
    return Row(case, f"{truth:.1f} ms", f"{recorded:.1f} ms", f"{error:+.1f} ms", abs(error) <= target)


def case_of(name: str, measure: Any, direction: Direction) -> Case:
    async def run(rig: Rig) -> list[Row]:
        rows: list[Row] = await measure(rig, direction)
        return rows

    return Case(name, SECONDS + 40, run)


CASES = [
    case_of("audio loss to the server", audio_loss, TO_SFU),
    case_of("audio loss to the recorder", audio_loss, TO_CLIENT),
    Case("delay and jitter", SECONDS + 40, delay),
]
