"""A caller: a real LiveKit client that talks, shows a picture that moves, and remembers what it was shown.

As a program (`python -m agent.demo.caller --help`) it can be killed like a client whose machine dies.
"""

import argparse
import asyncio
import atexit
import json
import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from livekit import rtc

from agent.demo.camera import Camera
from agent.demo.device import Device, Kind
from agent.demo.inbox import Inbox, Message
from agent.demo.microphone import Microphone, Spoken
from agent.demo.outbound import Outbound
from agent.demo.sfu_api import token
from agent.demo.speech import Speech

# A native thread of the SDK that waits for the interpreter while that ends aborts the process (1 exit in 20).
# After the SDK's own exit handler, which runs before this one, such threads get their turn.
atexit.register(time.sleep, 0.2)


class Caller:
    """One stay of one participant in a room. Made by `Caller.joining`, which also makes it leave.

    `seen`: every other identity that was ever visible. `left_at`: when it hung up, or was cut off.
    """

    def __init__(self, identity: str) -> None:
        self.identity = identity
        self.room = rtc.Room()
        self.seen: set[str] = set()
        self.left_at: datetime | None = None
        self._inbox = Inbox()
        self._devices: dict[Kind, Device] = {}
        self.cut_offs = 0  # times that it lost the server

    @classmethod
    @asynccontextmanager
    async def joining(
        cls,
        sfu_url: str,
        api_key: str,
        api_secret: str,
        room_name: str,
        identity: str,
        *,
        name: str = "",
        role: str | None = None,
        kind: Literal["standard", "agent"] = "standard",
        attributes: Mapping[str, str] | None = None,
        metadata: str = "",
        microphone: bool = True,
        camera: bool = False,
        camera_size: tuple[int, int] = (640, 360),
        fps: int = 15,
        simulcast: bool = False,
        auto_subscribe: bool = True,
        e2ee_key: str = "",
    ) -> AsyncIterator["Caller"]:
        """Join and publish; leave at the end. `role` is the attribute of that name.

        With an `e2ee_key` all that it publishes is encrypted end to end.
        """
        attributes = {**(attributes or {}), **({"role": role} if role else {})}
        who = (identity, name or identity, metadata, attributes, kind)
        admission = token(api_key, api_secret, room_name, *who)
        caller = cls(identity)
        try:
            options = rtc.RoomOptions(auto_subscribe=auto_subscribe, encryption=_encryption(e2ee_key))
            await caller._join(sfu_url, admission, options)
            if microphone:
                await caller.publish(Microphone())
            if camera:
                await caller.publish(Camera(camera_size, fps, simulcast=simulcast))
            yield caller
        finally:
            await caller.leave()

    @property
    def sid(self) -> str:
        """The participant sid of this stay."""
        return self.room.local_participant.sid

    @property
    def joined_at(self) -> datetime:
        """When this stay began according to LiveKit, which tells everyone the same."""
        joined_at = self.room.local_participant.joined_at
        assert joined_at is not None
        return joined_at

    @property
    def connected(self) -> bool:
        """Whether it can be heard just now; not while the SDK tries to reach the server again."""
        return self.room.connection_state == rtc.ConnectionState.CONN_CONNECTED

    @property
    def messages(self) -> list[Message]:
        """Every data message received."""
        return self._inbox.messages

    async def publish(self, device: Device) -> None:
        """Show or let hear what the device gives, from now on."""
        assert device.kind not in self._devices, f"there is a {device.kind} already"
        self._devices[device.kind] = device
        await device.start(self.room.local_participant)

    async def unpublish(self, kind: Kind) -> None:
        """Take a device away, as a client does whose user picks another one."""
        device = self._devices.pop(kind)
        await device.stop()
        if device.publication:
            await self.room.local_participant.unpublish_track(device.publication.sid)
        await device.close()

    async def say(
        self, speech: Speech, kind: Literal["microphone", "screen_share_audio"] = "microphone"
    ) -> Spoken:
        """Say it, after all else that was to be said; return when its last sample has gone out."""
        microphone = self._devices[kind]
        assert isinstance(microphone, Microphone)
        return await microphone.say(speech)

    async def send(self, topic: str, payload: Mapping[str, Any] | bytes) -> None:
        """Send a reliable data message to everyone, the hidden recorder included."""
        data = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
        await self.room.local_participant.publish_data(data, reliable=True, topic=topic)

    async def wait_for_message(self, topic: str, timeout: float) -> Message:  # noqa: ASYNC109
        """The first message of the topic not returned before; TimeoutError after `timeout` seconds."""
        async with asyncio.timeout(timeout):
            return await self._inbox.wait_for(topic)

    async def outbound_stats(self) -> dict[str, Outbound]:
        """What WebRTC has sent so far, by track sid."""
        return {
            device.publication.sid: outbound
            for device in list(self._devices.values())
            if device.publication and (outbound := await device.outbound())
        }

    @property
    def pictures_shown(self) -> int:
        """What its camera has shown so far."""
        camera = self._devices["camera"]
        assert isinstance(camera, Camera)
        return camera.shown

    def mute(self, kind: Kind) -> None:
        self._devices[kind].mute()

    def unmute(self, kind: Kind) -> None:
        self._devices[kind].unmute()

    async def leave(self) -> None:
        """Hang up, as a client does that says goodbye. Safe to repeat."""
        devices, self._devices = list(self._devices.values()), {}
        await asyncio.gather(*(device.stop() for device in devices))
        if self.room.isconnected():
            self.left_at = datetime.now(UTC)
            await self.room.disconnect()
        for device in devices:
            await device.close()

    async def _join(self, url: str, admission: str, options: rtc.RoomOptions) -> None:
        """Listen before connecting: whoever is visible for a moment only is noted too."""
        self.room.on("participant_connected", lambda participant: self.seen.add(participant.identity))
        self.room.on("data_received", self._inbox.note)
        self.room.on("disconnected", self._note_disconnected)
        self.room.on("reconnecting", self._note_cut_off)
        await self.room.connect(url, admission, options)
        self.seen.update(self.room.remote_participants)

    def _note_cut_off(self) -> None:
        self.cut_offs += 1

    def _note_disconnected(self, _reason: object) -> None:
        self.left_at = self.left_at or datetime.now(UTC)


def _encryption(key: str) -> rtc.E2EEOptions | None:
    return rtc.E2EEOptions(rtc.KeyProviderOptions(shared_key=key.encode())) if key else None


async def call(arguments: argparse.Namespace) -> None:
    """Join, say all that is to be said, stay until told to go (SIGTERM, Ctrl-C) or killed."""
    told_to_go = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, told_to_go.set)
    speeches = [Speech.load(path) for path in arguments.say]
    url, key, secret = (os.environ[f"LIVEKIT_{part}"] for part in ("URL", "API_KEY", "API_SECRET"))
    who = {"room_name": arguments.room, "identity": arguments.identity, "role": arguments.role}
    async with Caller.joining(url, key, secret, **who, camera=arguments.camera) as caller:
        _report("joined", sid=caller.sid, joined_at=caller.joined_at)
        for path, speech in zip(arguments.say, speeches, strict=True):
            spoken = await caller.say(speech)
            _report("said", file=path.name, begin=spoken.begin, end=spoken.end)
        await told_to_go.wait()
    _report("left", left_at=caller.left_at)


def _report(happening: str, **details: object) -> None:
    sys.stdout.write(json.dumps({"happening": happening, **details}, default=str) + "\n")
    sys.stdout.flush()


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="A client of the LiveKit server named by LIVEKIT_URL etc.")
    parser.add_argument("--room", required=True)
    parser.add_argument("--identity", required=True)
    parser.add_argument("--role")
    parser.add_argument("--say", nargs="*", type=Path, default=[], metavar="FILE", help="speech, one by one")
    parser.add_argument("--camera", action="store_true")
    return parser.parse_args()


if __name__ == "__main__":
    asyncio.run(call(_arguments()))
