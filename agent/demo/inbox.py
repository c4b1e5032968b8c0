"""The data messages a caller was sent."""

import asyncio
import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from livekit import rtc


@dataclass(frozen=True)
class Message:
    """One message as it arrived. The hidden recorder's have no identity."""

    topic: str
    payload: Any  # parsed JSON; the raw bytes of anything else
    identity: str | None
    at: datetime


class Inbox:
    """Keeps every message, and hands each one out once to whoever waits for its topic."""

    def __init__(self) -> None:
        self.messages: list[Message] = []
        self._unread: list[Message] = []
        self._arrived = asyncio.Event()

    def note(self, packet: rtc.DataPacket) -> None:
        identity = packet.participant.identity if packet.participant else None
        message = Message(packet.topic or "", _parsed(packet.data), identity, datetime.now(UTC))
        self.messages.append(message)
        self._unread.append(message)
        self._arrived.set()

    async def wait_for(self, topic: str) -> Message:
        """The first message of the topic that nobody was given yet, also one from before the call."""
        while True:
            for message in self._unread:
                if message.topic == topic:
                    self._unread.remove(message)
                    return message
            self._arrived.clear()
            await self._arrived.wait()


def _parsed(data: bytes) -> Any:
    try:
        return json.loads(data)
    except ValueError:
        return data
