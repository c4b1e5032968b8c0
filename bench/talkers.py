"""The load: two talkers in each room, who speak in turn and, if asked to, show a camera.

As a program: `python -m bench.talkers ROOM … [--camera FILE]`, with LIVEKIT_* set. It says `ready` when all
is loaded, joins on SIGUSR1 and leaves on SIGTERM.
"""

import argparse
import asyncio
import os
import signal
import sys
from contextlib import AsyncExitStack
from itertools import cycle
from pathlib import Path

import numpy as np
from livekit import rtc

from agent.demo.lines import COUNSELOR, LINES, STUDENT, load
from agent.demo.sfu_api import token
from agent.demo.speech import Samples
from bench.camera_loop import FPS, CameraLoop, Picture
from bench.camera_loop import load as load_pictures

SAMPLE_RATE = 48_000
CHUNK = SAMPLE_RATE // 5
BREATH = 0.4  # seconds between two turns
BETWEEN_ROOMS = 2.0  # seconds: rooms begin one by one, as they do in life


class Talker:
    """A LiveKit client with a microphone that never stops, subscribed to nobody."""

    def __init__(self, identity: str) -> None:
        self.identity = identity
        self.room = rtc.Room()
        self._microphone = rtc.AudioSource(SAMPLE_RATE, num_channels=1, queue_size_ms=500)

    async def join(self, room_name: str) -> None:
        url, key, secret = (os.environ[f"LIVEKIT_{part}"] for part in ("URL", "API_KEY", "API_SECRET"))
        admission = token(key, secret, room_name, self.identity, self.identity, "", {"role": self.identity})
        await self.room.connect(url, admission, rtc.RoomOptions(auto_subscribe=False))
        track = rtc.LocalAudioTrack.create_audio_track("microphone", self._microphone)
        options = rtc.TrackPublishOptions(source=rtc.TrackSource.SOURCE_MICROPHONE)
        await self.room.local_participant.publish_track(track, options)

    async def utter(self, samples: Samples) -> None:
        """Hand one chunk to WebRTC, which takes it at its own pace."""
        await self._microphone.capture_frame(rtc.AudioFrame(samples.tobytes(), SAMPLE_RATE, 1, len(samples)))


async def converse(talkers: tuple[Talker, Talker], speech: list[tuple[str, Samples]], offset: int) -> None:
    """One speaks, the other is silent, for ever; `offset` lets every room start elsewhere."""
    silence = np.zeros(CHUNK, np.int16)
    turns = cycle(speech[offset % len(speech) :] + speech[: offset % len(speech)])
    for speaker, samples in turns:
        for start in range(0, len(samples), CHUNK):
            chunk = samples[start : start + CHUNK]
            await asyncio.gather(
                *(t.utter(chunk if t.identity == speaker else silence[: len(chunk)]) for t in talkers)
            )


async def show(cameras: list[CameraLoop]) -> None:
    """A frame of every camera, on an absolute schedule."""
    clock = asyncio.get_running_loop().time
    due = clock()
    while True:
        for camera in cameras:
            camera.show()
        due = max(due + 1 / FPS, clock())
        await asyncio.sleep(due - clock())


def turns() -> list[tuple[str, Samples]]:
    """The demo's lines, so ordered that the two alternate, each followed by a breath."""
    lines = {
        who: [line for line, (speaker, _) in LINES.items() if speaker == who] for who in (STUDENT, COUNSELOR)
    }
    order = [line for pair in zip(lines[COUNSELOR], lines[STUDENT], strict=False) for line in pair]
    breath = np.zeros(int(BREATH * SAMPLE_RATE), np.int16)
    return [(LINES[line][0], np.concatenate((load(line).at(SAMPLE_RATE).samples, breath))) for line in order]


async def talk(rooms: list[str], pictures: list[Picture]) -> None:
    """Fill the rooms when told to, and talk until told to stop."""
    loop = asyncio.get_running_loop()
    told_to_join, told_to_stop = asyncio.Event(), asyncio.Event()
    loop.add_signal_handler(signal.SIGUSR1, told_to_join.set)
    loop.add_signal_handler(signal.SIGTERM, told_to_stop.set)
    speech = turns()
    async with AsyncExitStack() as leaving:
        people = [(Talker(STUDENT), Talker(COUNSELOR)) for _ in rooms]
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        await told_to_join.wait()
        cameras: list[CameraLoop] = []
        busy = [asyncio.create_task(show(cameras))]
        for number, (room, pair) in enumerate(zip(rooms, people, strict=True)):
            await asyncio.gather(*(talker.join(room) for talker in pair))
            for talker in pair:
                leaving.push_async_callback(talker.room.disconnect)
                if pictures:
                    cameras.append(camera := CameraLoop(pictures))
                    await camera.publish(talker.room.local_participant)
            busy.append(asyncio.create_task(converse(pair, speech, number)))
            await asyncio.sleep(BETWEEN_ROOMS)
        stopping = asyncio.create_task(told_to_stop.wait())
        await asyncio.wait([stopping, *busy], return_when=asyncio.FIRST_COMPLETED)
        for task in busy:
            task.cancel()
        for outcome in await asyncio.gather(*busy, return_exceptions=True):
            if isinstance(outcome, Exception):
                raise outcome


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.talkers", description=__doc__)
    parser.add_argument("rooms", nargs="+", metavar="ROOM")
    parser.add_argument("--camera", type=Path, help="the file that bench.camera_loop encoded")
    options = parser.parse_args()
    asyncio.run(talk(options.rooms, load_pictures(options.camera) if options.camera else []))


if __name__ == "__main__":
    main()
