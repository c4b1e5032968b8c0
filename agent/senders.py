"""Who sent this? LiveKit tells of someone who publishes nothing up to 3 s after they can send.

A text stream names its sender from the first, so it waits until they appear. A data packet from someone who
is not visible yet names nobody: LiveKit's client library drops the identity. Such a packet can only be from
one who was here before it and became visible after it; where exactly one is, it is theirs.
"""

import asyncio
from contextlib import suppress
from datetime import UTC, datetime, timedelta

from livekit import rtc

from agent.clock import now
from agent.handlers import listen

VISIBLE_SECONDS = 4.0  # LiveKit's server tells of newcomers every 3 s
APPEARING_SECONDS = 10.0
_CLOCK_SKEW = timedelta(seconds=1)  # between LiveKit's server, which says when someone joined, and us


class Senders:
    """Everybody who is or was visible in a room."""

    def __init__(self, room: rtc.Room) -> None:
        self._room = room
        self._seen: dict[str, tuple[rtc.RemoteParticipant, datetime]] = {}  # and when they appeared
        self._appeared = asyncio.Event()
        self._closing = asyncio.Event()
        listen(room, "participant_connected", self._note)
        listen(room, "participant_disconnected", self._remember)

    def known(self, identity: str) -> rtc.RemoteParticipant | None:
        """Who is here, or was: an agent may send someone's last words after they have left."""
        if here := self._room.remote_participants.get(identity):
            return here
        seen = self._seen.get(identity)
        return seen[0] if seen else None

    async def find(self, identity: str) -> rtc.RemoteParticipant | None:
        """The participant, as soon as they are visible; None when they are not within 10 s."""
        with suppress(TimeoutError):
            async with asyncio.timeout(APPEARING_SECONDS):
                while not self.known(identity) and not self._closing.is_set():
                    self._appeared.clear()
                    await self._appeared.wait()
        return self.known(identity)

    async def only_newcomer(self, sent: datetime) -> rtc.RemoteParticipant | None:
        """Who alone can have sent at this moment without being visible; None where that is not certain.

        Waits until everybody who was here then has become visible.
        """
        with suppress(TimeoutError):
            async with asyncio.timeout(VISIBLE_SECONDS):
                await self._closing.wait()
        candidates = [
            who
            for who, appeared in self._seen.values()
            if appeared >= sent and (who.joined_at is None or who.joined_at <= sent + _CLOCK_SKEW)
        ]
        return candidates[0] if len(candidates) == 1 else None

    def close(self) -> None:
        """Whoever has not appeared by now never will."""
        self._closing.set()
        self._appeared.set()

    def _note(self, participant: rtc.RemoteParticipant) -> None:
        self._seen[participant.identity] = participant, now()
        self._appeared.set()

    def _remember(self, participant: rtc.RemoteParticipant) -> None:
        """Whoever was here before us never appeared."""
        self._seen.setdefault(participant.identity, (participant, datetime.min.replace(tzinfo=UTC)))
