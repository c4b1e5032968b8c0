"""Who sent this, and whose track is that? LiveKit shows who publishes nothing up to 3 s after they can send.

A text stream names its sender from the first, so it waits until they appear. A data packet from someone who
is not visible yet names nobody, and is nobody's: LiveKit's client library drops the identity.
"""

import asyncio
from collections import OrderedDict
from contextlib import suppress
from typing import TypeVar

from livekit import rtc

from agent.handlers import listen
from agent.presence import is_voice

APPEARING_SECONDS = 10.0
_MOST_REMEMBERED = 1_000  # who have left, and tracks
Of = TypeVar("Of")


class Senders:
    """Everybody who is or was visible in a room, and whose each track is."""

    def __init__(self, room: rtc.Room) -> None:
        self._room = room
        self._gone: OrderedDict[str, rtc.RemoteParticipant] = OrderedDict()  # by identity
        self._owners: OrderedDict[str, str] = OrderedDict()  # identities, by the sid of their track
        self._appeared = asyncio.Event()
        self._closing = asyncio.Event()
        listen(room, "participant_connected", lambda _who: self._appeared.set())
        listen(room, "participant_disconnected", lambda who: _remember(self._gone, who.identity, who))
        listen(room, "track_published", lambda track, who: _remember(self._owners, track.sid, who.identity))

    def known(self, identity: str) -> rtc.RemoteParticipant | None:
        """Who is here, or was: an agent may send someone's last words after they have left."""
        return self._room.remote_participants.get(identity) or self._gone.get(identity)

    def owner_of(self, track_sid: str) -> rtc.RemoteParticipant | None:
        """Who publishes this track, or did."""
        here = self._room.remote_participants.values()
        if found := next((who for who in here if track_sid in who.track_publications), None):
            return found
        return self.known(self._owners.get(track_sid, ""))

    async def find(self, identity: str) -> rtc.RemoteParticipant | None:
        """The participant, as soon as they are visible; None when they are not within 10 s."""
        with suppress(TimeoutError):
            async with asyncio.timeout(APPEARING_SECONDS):
                while not self.known(identity) and not self._closing.is_set():
                    self._appeared.clear()
                    await self._appeared.wait()
        return self.known(identity)

    def close(self) -> None:
        """Whoever has not appeared by now never will."""
        self._closing.set()
        self._appeared.set()


def voices(participant: rtc.RemoteParticipant) -> list[rtc.RemoteTrackPublication]:
    """The tracks over which they speak."""
    return [publication for publication in participant.track_publications.values() if is_voice(publication)]


def can_be_heard(participant: rtc.RemoteParticipant) -> bool:
    """Whether their voice comes over a track just now."""
    return any(not voice.muted for voice in voices(participant))


def _remember(known: OrderedDict[str, Of], key: str, value: Of) -> None:
    """The latest only: nobody makes us remember without end."""
    known[key] = value
    known.move_to_end(key)
    if len(known) > _MOST_REMEMBERED:
        known.popitem(last=False)
