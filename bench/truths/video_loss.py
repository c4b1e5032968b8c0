"""Loss of video, which retransmission repairs: lost on the way, lost for good, and what was seen of it."""

from collections.abc import Iterable

from agent.demo.bad_line import TO_CLIENT, TO_SFU
from agent.demo.line_conditions import Direction
from bench.truths.case import Rig, Row
from bench.truths.loss import NAMES, POINTS, Measured, case_of, leg_row, loss_of, share

FPS = 15  # of a caller's camera


async def video_loss(rig: Rig, direction: Direction) -> list[Row]:
    found, repaired = await loss_of(rig, direction, "video")
    rows = [_video_row(one, direction) for one in found]
    if direction == TO_CLIENT:
        rows.append(_repaired(found, repaired))
    return [*rows, *_frames(found, direction)]


def _repaired(found: list[Measured], repaired: int) -> Row:
    """All cameras together: the relay cannot tell whose packet a retransmission repeats."""
    dropped = sum(one.to_client.dropped for one in found)
    told_lost = sum(r["packets_lost"] for one in found for r in one.readings)
    told_repaired = sum(r["packets_repaired"] for one in found for r in one.readings)
    return Row(
        "video, repaired by retransmission, server to recorder",
        f"{dropped} lost, {repaired} retransmitted, {dropped - repaired} stayed lost",
        f"{told_lost} lost, {told_repaired} repaired, {told_lost - told_repaired} stayed lost",
        f"{told_repaired - repaired:+d} repaired",
        abs(told_repaired - repaired) <= 0.02 * max(repaired, 100),
    )


def _video_row(one: Measured, direction: Direction) -> Row:
    """To the server only what retransmission did not repair can be seen from behind it."""
    case = f"video, {one.what} lost, {NAMES[direction]}"
    if direction == TO_CLIENT:
        return leg_row(case, one, direction)
    count = one.to_client  # the server's stream, with the gaps that stayed
    stayed = share(count.missing_before, count.span)
    error = abs(one.recorded(TO_SFU) - stayed)
    return Row(
        case,
        f"{one.lost(TO_SFU):.2f} % on the way, {stayed:.2f} % stayed lost ({count.missing_before})",
        f"{one.recorded(TO_SFU):.2f} % client_to_sfu, {one.recorded(TO_CLIENT):.2f} % sfu_to_recorder",
        f"{error:.2f} points",
        error <= POINTS and one.recorded(TO_CLIENT) <= POINTS,
    )


def _frames(found: Iterable[Measured], direction: Direction) -> list[Row]:
    return [
        _frozen(one, direction)
        if one.what == "a burst"
        else _fps(f"frames, {one.what} lost, {NAMES[direction]}", one.figures["average_fps"])
        for one in found
    ]


def _fps(case: str, fps: float) -> Row:
    return Row(case, f"{FPS} fps", f"{fps:.2f} fps", f"{fps - FPS:+.2f}", abs(fps - FPS) <= 1)


def _frozen(one: Measured, direction: Direction) -> Row:
    """In the reading of the burst, and a little longer: the next frame has to be repaired first."""
    reading = max(one.readings, key=lambda r: r["freeze_seconds"])
    pause, seconds = one.to_client.longest_pause, reading["freeze_seconds"]
    return Row(
        f"picture frozen, {NAMES[direction]}",
        f"{pause:.2f} s without a packet",
        f"{seconds:.2f} s in {reading['freeze_count']} freezes",
        f"{seconds - pause:+.2f} s",
        -0.2 <= seconds - pause <= 1,
    )


CASES = [
    case_of("video loss to the server", video_loss, TO_SFU),
    case_of("video loss to the recorder", video_loss, TO_CLIENT),
]
