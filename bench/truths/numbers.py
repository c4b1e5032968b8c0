"""Numbers: what the publisher's WebRTC counted is what the readings say, second by second."""

import asyncio
from collections.abc import Awaitable, Callable

from agent.demo.caller import Caller
from agent.demo.camera import Camera
from agent.demo.microphone import Microphone
from bench.speech import sentence
from bench.stack import Stack, new_room, until
from bench.truths.case import Case, Rig, Row
from bench.truths.laid_beside import bitrate_row, readings_of, rows_of
from bench.truths.sent import Sent

Act = Callable[[Camera], Awaitable[None]]
Show = Callable[[Sent, Caller], Awaitable[None]]
SMALL = (320, 180)
MEDIUM = (640, 360)
PHASE_SECONDS = 15.0


async def constant(rig: Rig) -> list[Row]:
    """Three cameras that stay as they are."""
    shown = [(SMALL, 30), (MEDIUM, 15), (MEDIUM, 30)]
    rooms = [
        in_a_room(
            rig.stack, f"constant {size[0]}x{size[1]} at {fps}", staying(62), size, fps, talks=size == SMALL
        )
        for size, fps in shown
    ]
    return [row for rows in await asyncio.gather(*rooms) for row in rows]


async def changing(rig: Rig) -> list[Row]:
    """Frames a second, or what each costs, change every 15 s."""

    async def fps(camera: Camera) -> None:
        for camera.fps in (30, 10, 30, 10):
            await asyncio.sleep(PHASE_SECONDS)

    async def content(camera: Camera) -> None:
        for camera.sways in (True, False, True, False):
            await asyncio.sleep(PHASE_SECONDS)

    rooms = [
        in_a_room(rig.stack, "fps 30, 10, 30, 10", fps, SMALL, 30),
        in_a_room(rig.stack, "picture moves, stands still", content, MEDIUM, 15),
    ]
    return [row for rows in await asyncio.gather(*rooms) for row in rows]


async def on_and_off(rig: Rig) -> list[Row]:
    """A camera muted and unmuted; then another one, published and taken away twice."""

    async def mute(sent: Sent, caller: Caller) -> None:
        async with sent.publishing(caller, Camera(MEDIUM, 15, simulcast=False)) as camera:
            for act in (camera.mute, camera.unmute, camera.mute, camera.unmute):
                await asyncio.sleep(13)
                act()
            await asyncio.sleep(13)

    async def republish(sent: Sent, caller: Caller) -> None:
        for fps in (30, 10, 30):
            async with sent.publishing(caller, Camera(SMALL, fps, simulcast=False)):
                await asyncio.sleep(16)
            await asyncio.sleep(5)

    rooms = [
        _with_a_camera(rig.stack, "camera muted, unmuted", mute),
        _with_a_camera(rig.stack, "camera unpublished, republished", republish),
    ]
    return [row for rows in await asyncio.gather(*rooms) for row in rows]


async def _with_a_camera(stack: Stack, name: str, show: Show) -> list[Row]:
    """What `show` publishes, by someone who is silent, beside what was recorded."""
    room, sent = new_room(), Sent()
    async with stack.joining(room, "student-1", microphone=False) as student:
        await until(lambda: stack.log("recording_began", room=room))
        await show(sent, student)
    return rows_of(name, await stack.completed(room), sent)


async def sampled(rig: Rig) -> list[Row]:
    """`RECORDER_VIDEO=sampled`, so long that readings of 3 s follow those of the beginning."""
    with rig.stack_of_its_own(RECORDER_VIDEO="sampled") as stack:
        rooms = [
            in_a_room(stack, f"sampled {size[0]}x{size[1]} at {fps}", staying(150), size, fps)
            for size, fps in ((MEDIUM, 30), (SMALL, 15))
        ]
        rows = await asyncio.gather(*rooms)
    return [row for found in rows for row in found]


async def in_a_room(
    stack: Stack, name: str, act: Act, size: tuple[int, int], fps: int, *, talks: bool = False
) -> list[Row]:
    """A camera and a microphone that `act` does something with, beside what was recorded."""
    room, sent = new_room(), Sent()
    async with stack.joining(room, "student-1", microphone=False) as student:
        await until(lambda: stack.log("recording_began", room=room))
        microphone, camera = Microphone(), Camera(size, fps, simulcast=False)
        async with sent.publishing(student, microphone), sent.publishing(student, camera):
            talking = asyncio.create_task(_talk(microphone)) if talks else None
            await act(camera)
            if talking:
                talking.cancel()
    record = await stack.completed(room)
    heard = [(sent.of(reading), reading) for reading in readings_of(record, "microphone")]
    # LiveKit's server ends a track with 0.2 s of packets of its own: much beside a silence cut short.
    row = bitrate_row(f"{name}: {'microphone' if talks else 'silence'}", heard[:-1])
    return [*rows_of(name, record, sent), row]


async def _talk(microphone: Microphone) -> None:
    """Without end."""
    speech = sentence("0870")
    while True:
        await microphone.say(speech)


def staying(seconds: float) -> Act:
    return lambda _camera: asyncio.sleep(seconds)


CASES = [
    Case("constant bitrate and fps", 75, constant),
    Case("changing bitrate and fps", 75, changing),
    Case("camera on and off", 80, on_and_off),
    Case("sampled video", 190, sampled),
]
