"""LiveKit's server dies and comes back under a running job: one session, its numbers unharmed."""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

from agent.demo.camera import Camera
from agent.demo.microphone import Microphone
from agent.local.processes import port_answers
from agent.local.sfu import SfuServer
from bench.speech import sentence, word_error_rate
from bench.stack import Stack, new_room, until
from bench.truths.case import Case, Rig, Row
from bench.truths.laid_beside import average_row, readings_of
from bench.truths.sent import Sent

AWAY_SECONDS = 1.0
BEFORE, AFTER = sentence("0890"), sentence("0920")
SPIKE = 1.5  # times the highest truth
OVERLAP = timedelta(seconds=0.1)


async def server_restarts(rig: Rig) -> list[Row]:
    server = SfuServer(rig.folder / "sfu-restarting", overrides={"room": {"departure_timeout": 3}})
    try:
        with rig.recorder(server.start()) as stack:
            return await _through_a_restart(stack, server)
    finally:
        server.stop()


async def _through_a_restart(stack: Stack, server: SfuServer) -> list[Row]:
    room, sent = new_room(), Sent()
    async with stack.joining(room, "student-1", microphone=False) as student:
        await until(lambda: stack.log("recording_began", room=room))
        microphone, camera = Microphone(), Camera((640, 360), 15, simulcast=False)
        # Not unpublished: after the restart LiveKit's SDK knows no transceiver of theirs.
        async with (
            sent.publishing(student, microphone, unpublish=False),
            sent.publishing(student, camera, unpublish=False),
        ):
            await microphone.say(BEFORE)
            await asyncio.sleep(12)
            server.kill()
            killed_at = datetime.now().astimezone()
            await asyncio.sleep(AWAY_SECONDS)
            server.spawn()
            await until(lambda: port_answers(server.port))
            await until(lambda: stack.log("recorder_reconnected", room=room))
            back_at = datetime.now().astimezone()
            await asyncio.sleep(5)
            await microphone.say(AFTER)
            await asyncio.sleep(12)
    record = await stack.completed(room)
    cameras = readings_of(record, "camera")
    return [
        *_about_readings(cameras, sent, back_at),
        average_row("server restarted", record, sent.average),
        *_about_the_rest(record, killed_at, back_at),
        _one_recorder(stack, room),
    ]


def _about_readings(readings: Sequence[Mapping[str, Any]], sent: Sent, back_at: datetime) -> list[Row]:
    figures = [(reading["bitrate_kbps"], reading["fps"]) for reading in readings]
    negative = sum(1 for pair in figures for figure in pair if figure < 0)
    most = max((kbps for kbps, _ in figures), default=0.0)
    times = sorted((r["read_at"] - timedelta(seconds=r["seconds"]), r["read_at"]) for r in readings)
    twice = sum(1 for earlier, later in pairwise(times) if later[0] < earlier[1] - OVERLAP)
    after = sum(1 for reading in readings if reading["read_at"] > back_at)
    name = "server restarted: readings"
    return [
        Row(name, "none below 0", f"{negative} below 0", str(negative), negative == 0),
        Row(
            name,
            f"at most {sent.peak_kbps:.0f} kbit/s",
            f"{most:.0f} kbit/s",
            f"x {most / sent.peak_kbps:.2f}",
            most <= SPIKE * sent.peak_kbps,
        ),
        Row(name, "no second twice", f"{twice} overlap", str(twice), twice == 0),
        Row(name, "go on", f"{after} afterwards", "" if after else "none", after > 0),
    ]


def _about_the_rest(record: Mapping[str, Any], killed_at: datetime, back_at: datetime) -> list[Row]:
    stays = [stay for stay in record["participants"] if stay["identity"] == "student-1"]
    covered = [
        gap
        for gap in record["gaps"]
        if gap["what"] == "everything"
        and abs(datetime.fromisoformat(gap["from"]) - killed_at) < timedelta(seconds=2)
        and abs(datetime.fromisoformat(gap["until"]) - back_at) < timedelta(seconds=2)
    ]
    heard = [entry["text"] for entry in record["transcript"]]
    wrong = 100 * word_error_rate([BEFORE.words, AFTER.words], heard)
    absent = (back_at - killed_at).total_seconds()
    return [
        Row(
            "server restarted: stays",
            "all ended",
            f"{len(stays)} stays, {sum(stay['left_at'] is None for stay in stays)} open",
            "",
            all(stay["left_at"] is not None for stay in stays),
        ),
        Row(
            "server restarted: gap",
            f"{absent:.1f} s",
            f"{len(covered)} noted",
            "" if covered else "not noted",
            bool(covered),
        ),
        Row("server restarted: words", "every word", f"WER {wrong:.1f} %", f"{wrong:.1f} %", wrong <= 1),
    ]


def _one_recorder(stack: Stack, room: str) -> Row:
    """The new server may dispatch another recorder to the room that the first one came back to."""
    recorders = len(stack.log("recording_began", room=room))
    return Row("server restarted: recorders", "1", f"{recorders}", str(recorders - 1), recorders == 1)


CASES = [Case("LiveKit's server restarts", 75, server_restarts)]
