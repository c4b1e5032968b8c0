"""What cannot be heard: encrypted, withheld, cut off. Nothing is invented, each gap has its reason."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

from livekit import rtc

from agent.demo.camera import Camera
from agent.demo.microphone import Microphone
from bench.speech import FOLDER, sentence
from bench.stack import PROJECT, Stack, new_room, until
from bench.truths.case import Case, Rig, Row
from bench.truths.tracks import rows as rows_of_words

ONE, TWO, THREE = (sentence(number) for number in ("0890", "0920", "0930"))
KEY = "a key that the room shares"
POINTS = 0.1  # of percent, that a share of lost packets may be off
SECONDS = 0.3  # that a gap's ends may be off: a packet comes every 0.4 s in a pause, signals take 0.1 s
# s, which LiveKit's server takes to end a subscription, and to look whether it may subscribe again
UNSUBSCRIBED, RESUBSCRIBED = 0.3, 3.0
FIRST_MOMENTS = ("subscribing", "recorder_joined_late")


async def encrypted(rig: Rig) -> list[Row]:
    """Two who talk, encrypted; the recorder has no key."""
    room = new_room()
    async with (
        rig.stack.joining(room, "student-1", microphone=False, e2ee_key=KEY) as student,
        rig.stack.joining(room, "counselor-1", camera=True, e2ee_key=KEY) as counselor,
    ):
        await _recorded(rig.stack, room)
        await student.publish(Microphone())
        on_at = datetime.now(UTC)
        await student.say(ONE)
        await counselor.say(TWO)
        await student.unpublish("microphone")
        off_at = datetime.now(UTC)
    record = await rig.stack.completed(room)
    case = "encrypted"
    return [
        *rows_of_words(case, record, {}),
        _no_words(case, record),
        *(_not_scored(case, record, identity) for identity in ("student-1", "counselor-1")),
        gap_row(case, record, "student-1", "encrypted", on_at, off_at),
        _not_heard(case, record, "student-1"),
    ]


async def mixed(rig: Rig) -> list[Row]:
    """One encrypts and one does not, and then the first does not any more."""
    room = new_room()
    async with rig.stack.joining(room, "counselor-1") as counselor:
        await until(lambda: rig.stack.hears(room, 1))
        async with rig.stack.joining(room, "student-1", e2ee_key=KEY) as student:
            on_at = datetime.now(UTC)
            await asyncio.gather(student.say(ONE), counselor.say(TWO))
            await student.unpublish("microphone")
            off_at = datetime.now(UTC)
        async with rig.stack.joining(room, "student-1") as student:
            await until(lambda: rig.stack.hears(room, 2))
            await student.say(THREE)
    record = await rig.stack.completed(room)
    case = "encrypted beside plain"
    said = {"counselor-1": [TWO.words], "student-1": [THREE.words]}
    return [
        *rows_of_words(case, record, said),
        *(loss_row(case, record, identity) for identity in said),
        gap_row(case, record, "student-1", "encrypted", on_at, off_at),
    ]


async def with_the_key(rig: Rig) -> list[Row]:
    """The recorder has the key of two, not of the third; one lets go of encryption without a word."""
    with rig.stack_of_its_own(RECORDER_E2EE_KEY=KEY) as stack:
        room = new_room()
        async with (
            stack.joining(room, "student-1", e2ee_key=KEY, camera=True) as student,
            stack.joining(room, "counselor-1", e2ee_key=KEY) as counselor,
            stack.joining(room, "guest", microphone=False, e2ee_key="another") as guest,
        ):
            await until(lambda: stack.hears(room, 2))
            await guest.publish(Microphone())
            on_at = datetime.now(UTC)
            await student.say(ONE)
            await guest.say(THREE)
            await guest.unpublish("microphone")
            off_at = datetime.now(UTC)
            await counselor.say(TWO)
            await asyncio.sleep(2)  # the words' end is in the record: what follows is a gap
            counselor.room.e2ee_manager.set_enabled(enabled=False)
            switched_at = datetime.now(UTC)
            await counselor.say(THREE)
            await counselor.unpublish("microphone")
            ended_at = datetime.now(UTC)
        record = await stack.completed(room)
    case = "encrypted, with the key"
    said = {"student-1": [ONE.words], "counselor-1": [TWO.words]}
    return [
        *rows_of_words(case, record, said),
        *(loss_row(case, record, identity) for identity in said),
        gap_row(case, record, "guest", "encrypted", on_at, off_at),
        gap_row(f"{case}, dropped", record, "counselor-1", "encrypted", switched_at, ended_at),
        _not_heard(case, record, "guest"),
    ]


async def killed(rig: Rig) -> list[Row]:
    """A client dies (kill -9) on a perfect line, in the middle of a sentence."""
    room = new_room()
    async with rig.stack.joining(room, "counselor-1") as counselor, _caller(rig.stack, room) as client:
        await until(lambda: rig.stack.hears(room, 2))
        await asyncio.sleep(12)
        client.send_signal(signal.SIGKILL)
        died_at = datetime.now(UTC)
        await until(lambda: "student-1" not in counselor.room.remote_participants)
    record = await rig.stack.completed(room)
    left_at = next(stay["left_at"] for stay in record["participants"] if stay["identity"] == "student-1")
    case = "client killed"
    return [
        loss_row(case, record, "student-1"),
        gap_row(case, record, "student-1", "connection_lost", died_at, left_at),
        _average_row(case, record, "student-1"),
    ]


async def stalled(rig: Rig) -> list[Row]:
    """A client stands still for some seconds (SIGSTOP): nothing comes of a microphone that is on."""
    room = new_room()
    async with rig.stack.joining(room, "counselor-1"), _caller(rig.stack, room) as client:
        await until(lambda: rig.stack.hears(room, 2))
        await asyncio.sleep(5)
        client.send_signal(signal.SIGSTOP)
        stopped_at = datetime.now(UTC)
        await asyncio.sleep(5)
        client.send_signal(signal.SIGCONT)
        went_on_at = datetime.now(UTC)
        await asyncio.sleep(3)
        client.send_signal(signal.SIGTERM)
        await client.wait()
    record = await rig.stack.completed(room)
    return [gap_row("client stands still", record, "student-1", "not_received", stopped_at, went_on_at)]


async def withdrawn(rig: Rig) -> list[Row]:
    """In mid-call nobody may listen any more, and then they may again; then all leave."""
    room = new_room()
    async with rig.stack.joining(room, "student-1") as student:
        await until(lambda: rig.stack.hears(room, 1))
        await student.say(ONE)
        await asyncio.sleep(1)
        student.room.local_participant.set_track_subscription_permissions(allow_all_participants=False)
        withdrawn_at = datetime.now(UTC)
        await student.say(TWO)
        student.room.local_participant.set_track_subscription_permissions(allow_all_participants=True)
        granted_at = datetime.now(UTC)
        await until(lambda: rig.stack.hears(room, 1, "not_permitted"))
        await student.say(THREE)
    record = await rig.stack.completed(room, within=40)
    case = "permission withdrawn"
    return [
        *rows_of_words(case, record, {"student-1": [ONE.words, THREE.words]}),
        loss_row(case, record, "student-1"),
        gap_row(
            case,
            record,
            "student-1",
            "not_permitted",
            withdrawn_at,
            granted_at,
            late=(UNSUBSCRIBED, RESUBSCRIBED),
        ),
    ]


async def denied(rig: Rig) -> list[Row]:
    """Nobody may listen from the start, to one for a while, to the other ever."""
    room = new_room()
    async with (
        rig.stack.joining(room, "student-1", microphone=False) as student,
        rig.stack.joining(room, "guest", microphone=False) as guest,
    ):
        await _recorded(rig.stack, room)
        on_at = {}
        for caller in (student, guest):
            caller.room.local_participant.set_track_subscription_permissions(allow_all_participants=False)
            await caller.publish(Microphone())
            on_at[caller.identity] = datetime.now(UTC)
        await asyncio.gather(student.say(TWO), guest.say(TWO))
        student.room.local_participant.set_track_subscription_permissions(allow_all_participants=True)
        granted_at = datetime.now(UTC)
        await asyncio.sleep(1)
        await student.say(ONE)
        await guest.unpublish("microphone")
        off_at = datetime.now(UTC)
    record = await rig.stack.completed(room, within=40)
    case = "permission denied"
    return [
        *rows_of_words(case, record, {"student-1": [ONE.words]}),
        gap_row(case, record, "student-1", "not_permitted", on_at["student-1"], granted_at),
        gap_row(f"{case} to the end", record, "guest", "not_permitted", on_at["guest"], off_at),
        _not_heard(case, record, "guest"),
    ]


class UnnamedMicrophone(Microphone):
    """Published as some clients do that build their tracks themselves."""

    def publish_options(self) -> rtc.TrackPublishOptions:
        return rtc.TrackPublishOptions(source=rtc.TrackSource.SOURCE_UNKNOWN)


class UnnamedCamera(Camera):
    """The same of a camera."""

    def publish_options(self) -> rtc.TrackPublishOptions:
        options = super().publish_options()
        options.source = rtc.TrackSource.SOURCE_UNKNOWN
        return options


async def unknown_source(rig: Rig) -> list[Row]:
    """Neither track says what it is."""
    room = new_room()
    async with rig.stack.joining(room, "student-1", microphone=False) as student:
        await _recorded(rig.stack, room)
        await student.publish(UnnamedMicrophone())
        await student.publish(UnnamedCamera((320, 180), 15, simulcast=False))
        await until(lambda: rig.stack.hears(room, 1))
        await student.say(ONE)
        await asyncio.sleep(2)
    record = await rig.stack.completed(room)
    sources = {reading["source"] for reading in record["readings"]}
    case = "source unknown"
    return [
        *rows_of_words(case, record, {"student-1": [ONE.words]}),
        loss_row(case, record, "student-1"),
        _average_row(case, record, "student-1"),
        Row(case, "camera, microphone", ", ".join(sorted(sources)), "", sources == {"camera", "microphone"}),
    ]


async def muted_device(rig: Rig) -> list[Row]:
    """A microphone that is on, whose device gives digital silence: received, and silent."""
    room = new_room()
    async with rig.stack.joining(room, "student-1"):
        await until(lambda: rig.stack.hears(room, 1))
        await asyncio.sleep(25)
    record = await rig.stack.completed(room)
    case = "device muted"
    return [_no_words(case, record), loss_row(case, record, "student-1"), _no_gap(case, record)]


async def _recorded(stack: Stack, room: str) -> None:
    await until(lambda: stack.log("recording_began", room=room))


@asynccontextmanager
async def _caller(stack: Stack, room: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """A client in a process of its own, with microphone and camera, that talks for about 18 s."""
    keys = {
        "LIVEKIT_URL": stack.sfu.url,
        "LIVEKIT_API_KEY": stack.sfu.api_key,
        "LIVEKIT_API_SECRET": stack.sfu.api_secret,
    }
    client = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "agent.demo.caller", "--room", room, "--identity", "student-1", "--camera"),
        *("--say", *[str(FOLDER / "austen-0890.flac")] * 3),
        env={**os.environ, **keys},
        cwd=PROJECT,
        stdout=asyncio.subprocess.DEVNULL,
    )
    try:
        yield client
    finally:
        if client.returncode is None:
            client.kill()
            await client.wait()


def gap_row(
    case: str,
    record: Mapping[str, Any],
    identity: str,
    reason: str,
    begin: datetime,
    end: datetime,
    *,
    late: tuple[float, float] = (0.0, 0.0),
) -> Row:
    """One gap of theirs has that reason, and it is from then to then, or up to so many seconds `late`."""
    gaps = _gaps(record, identity)
    fitting = [gap for gap in gaps if gap["reason"] == reason]
    truth = f"{identity}: {reason} for {(end - begin).total_seconds():.1f} s"
    if len(fitting) != 1:
        told = ", ".join(gap["reason"] for gap in gaps) or "no gap"
        return Row(case, truth, told, f"{len(fitting)} such gaps", holds=False)
    since, until = (datetime.fromisoformat(fitting[0][edge]) for edge in ("from", "until"))
    errors = [(since - begin).total_seconds(), (until - end).total_seconds()]
    return Row(
        case,
        truth,
        f"{(until - since).total_seconds():.1f} s",
        ", ".join(f"{error:+.2f} s" for error in errors),
        all(-SECONDS <= error <= SECONDS + more for error, more in zip(errors, late, strict=True)),
    )


def loss_row(case: str, record: Mapping[str, Any], identity: str) -> Row:
    """On a perfect line nothing is lost."""
    lost = record["quality_metrics"]["participants"][identity]["packet_loss_percentage"]
    holds = lost is not None and lost <= POINTS
    return Row(case, f"{identity}: 0 % lost", f"{lost} %", f"{lost} points", holds)


def _gaps(record: Mapping[str, Any], identity: str) -> Sequence[Mapping[str, Any]]:
    return [gap for gap in record["gaps"] if gap.get("identity") in (identity, None)]


def _no_gap(case: str, record: Mapping[str, Any]) -> Row:
    others = [gap["reason"] for gap in record["gaps"] if gap["reason"] not in FIRST_MOMENTS]
    return Row(case, "no gap", ", ".join(others) or "none", f"{len(others)} invented", not others)


def _no_words(case: str, record: Mapping[str, Any]) -> Row:
    words = sum(len(entry["text"].split()) for entry in record["transcript"])
    return Row(case, "no words", f"{words} words", f"{words} invented", words == 0)


def _not_scored(case: str, record: Mapping[str, Any], identity: str) -> Row:
    figures = record["quality_metrics"]["participants"][identity]
    names = ("packet_loss_percentage", "average_mos", "concealed_percentage", "average_fps")
    told = [name for name in names if figures[name] is not None]
    return Row(case, f"{identity}: no figures", ", ".join(told) or "none", f"{len(told)} invented", not told)


def _not_heard(case: str, record: Mapping[str, Any], identity: str) -> Row:
    own = record["coverage"]["participants"][identity]
    missed = sum(own["missed"].values())
    holds = own["heard"] <= SECONDS and abs(own["audible"] - missed) <= SECONDS and own["share"] in (0, None)
    recorded = f"{own['audible']} s audible, {own['heard']} s heard, share {own['share']}"
    return Row(case, f"{identity}: audible, not heard", recorded, "", holds)


def _average_row(case: str, record: Mapping[str, Any], identity: str) -> Row:
    """The camera showed 15 pictures a second for as long as it was there."""
    fps = record["quality_metrics"]["participants"][identity]["average_fps"]
    holds = fps is not None and abs(fps - 15) <= 1
    return Row(case, f"{identity}: 15 fps", f"{fps} fps", "" if fps is None else f"{fps - 15:+.1f}", holds)


CASES = [
    Case("encrypted", 25, encrypted),
    Case("encrypted beside plain", 35, mixed),
    Case("encrypted, with the key", 45, with_the_key),
    Case("client killed", 50, killed),
    Case("client stands still", 35, stalled),
    Case("permission withdrawn", 35, withdrawn),
    Case("permission denied", 30, denied),
    Case("source unknown", 20, unknown_source),
    Case("device muted", 40, muted_device),
]
