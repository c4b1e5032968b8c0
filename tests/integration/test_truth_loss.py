"""Loss on a line that counts is what the record says of it, and of the leg it was on."""

import asyncio
from pathlib import Path

from agent.demo.bad_line import TO_CLIENT, TO_SFU, Conditions
from agent.local.postgres import EmbeddedPostgres
from bench.stack import until
from bench.truths.bad_room import all_hum, bad_room, bad_stack
from bench.truths.loss import Measured, measured

SECONDS = 14.0  # with the reports of LiveKit's server, every 3 s, that tell the legs apart
HOLE = 80  # packets in a row, which libwebrtc's own count misses


async def test_what_the_line_lost_is_recorded_on_its_leg(
    postgres: EmbeddedPostgres, whisper_url: str, tmp_path: Path
) -> None:
    who = {"student-up": "", "student-down": "", "student-hole": ""}
    with bad_stack(tmp_path, postgres, whisper_url, RECORDER_STATS_INTERVAL="5") as bad:
        async with bad_room(bad, list(who), "audio") as room:
            ssrcs = {identity: publisher.ssrcs for identity, publisher in room.publishers.items()}
            bad.line.set(TO_SFU, Conditions(loss=0.1), ssrc=ssrcs["student-up"][TO_SFU])
            bad.line.set(TO_CLIENT, Conditions(loss=0.1), ssrc=ssrcs["student-down"][TO_CLIENT])
            bad.line.set(TO_CLIENT, Conditions(delay=0.05))
            humming = asyncio.create_task(all_hum(room, SECONDS))
            to_have_a_hole = room.publishers["student-hole"]
            await until(lambda: to_have_a_hole.count(bad.line, TO_SFU).passed > 200)
            bad.line.drop_next(TO_SFU, to_have_a_hole.ssrcs[TO_SFU], HOLE)
            await humming
        up, down, hole = await measured(bad, room, who)

    assert up.to_sfu.dropped > 50
    assert_lost(up, before=up.to_sfu.dropped, on_leg=0)
    assert down.to_client.dropped > 50
    assert_lost(down, before=0, on_leg=down.to_client.dropped)
    assert hole.to_sfu.dropped == HOLE
    assert_lost(hole, before=HOLE, on_leg=0, stalled=10)  # it is told by the sound that was concealed
    for one in (up, down, hole):
        assert sum(r["packets_received"] for r in one.readings) <= one.to_client.passed
        assert all(50 <= r["round_trip_ms"] <= 150 for r in one.readings[1:])
    assert up.figures["average_mos"] < 4.2
    assert hole.figures["concealed_percentage"] > 100 * HOLE * 0.02 * 0.7 / (SECONDS + 10)


def assert_lost(one: Measured, *, before: int, on_leg: int, stalled: int = 0) -> None:
    """To within a few packets: those between a report and the counters, or before the first reading.

    `stalled`: a machine that stalls for so many conceals as much sound more.
    """
    slack = 6
    assert -slack <= sum(r["packets_lost_upstream"] or 0 for r in one.readings) - before <= slack + stalled
    assert abs(sum(r["packets_lost"] for r in one.readings) - on_leg) <= slack
