"""Which tracks are received so that they can be heard and seen: subscribed to, and not encrypted against us.

What a decoder makes of an end-to-end-encrypted track without its key is noise at full scale: such a track is
neither listened to nor measured. A room may be mixed: each track says for itself how it is encrypted.
"""

from collections.abc import Callable

import structlog
from livekit import rtc
from livekit.rtc._proto import e2ee_pb2

from agent.handlers import discreet, listen
from agent.presence import is_recorded, published_already
from agent.settings import Settings

log = structlog.stdlib.get_logger()

Handler = Callable[[rtc.Track, rtc.RemoteTrackPublication, rtc.RemoteParticipant], None]

_DECIPHERED = (e2ee_pb2.OK, e2ee_pb2.KEY_RATCHETED)
_NOT_YET = e2ee_pb2.NEW


def decryption(settings: Settings) -> rtc.E2EEOptions | None:
    """The key that the room shares, derived as LiveKit's clients do; None where we were given none.

    No ratcheting: sixteen more keys would be derived for each frame that ours does not open.
    """
    if not (key := settings.recorder_e2ee_key.get_secret_value()):
        return None
    return rtc.E2EEOptions(rtc.KeyProviderOptions(shared_key=key.encode(), ratchet_window_size=0))


class Receiving:
    """Follows everybody's subscriptions, as objects: a track may come back under its sid.

    With a key, an encrypted track is received once its first frame could be decrypted. One of which a frame
    could not is let go of at once and for good: the library that decrypts does not survive some frames that
    were never encrypted.
    """

    def __init__(self, room: rtc.Room, *, has_key: bool) -> None:
        self._room = room
        self._has_key = has_key
        self._deciphered: set[str] = set()  # identities
        self._given_up: set[str] = set()  # track_sids
        self._received: dict[rtc.Track, tuple[rtc.RemoteTrackPublication, rtc.RemoteParticipant]] = {}
        self._on_received: list[Handler] = []
        self._on_lost: list[Handler] = []
        listen(room, "track_published", self._published)
        listen(room, "reconnected", self.note_those_already_here)
        listen(room, "track_subscribed", self._subscribed)
        listen(room, "track_unsubscribed", lambda track, _publication, _who: self._lost(track))
        listen(room, "e2ee_state_changed", self._encryption_changed)

    def follow(self, *, received: Handler, lost: Handler) -> None:
        """Be told of every track from when to when it is received."""
        self._on_received.append(discreet("track received", received))
        self._on_lost.append(discreet("track lost", lost))

    def note_those_already_here(self) -> None:
        """Tracks published before we came, or came back, get no `track_published`."""
        for publication, who in published_already(self._room):
            self._published(publication, who)

    def wanted(self, publication: rtc.RemoteTrackPublication) -> bool:
        """Whether there is a point in being subscribed to it."""
        return not is_encrypted(publication) or (self._has_key and publication.sid not in self._given_up)

    def readable(self, publication: rtc.TrackPublication, identity: str) -> bool:
        """Whether what is received of it can be heard or seen."""
        if not is_encrypted(publication):
            return True
        return identity in self._deciphered and publication.sid not in self._given_up

    def _published(self, publication: rtc.RemoteTrackPublication, who: rtc.RemoteParticipant) -> None:
        if is_recorded(who) and not self.wanted(publication):
            log.info("track_encrypted", identity=who.identity, key="refused" if self._has_key else "none")
            publication.set_subscribed(False)

    def _subscribed(
        self, track: rtc.Track, publication: rtc.RemoteTrackPublication, who: rtc.RemoteParticipant
    ) -> None:
        if not is_recorded(who):
            return
        if not self.wanted(publication):
            publication.set_subscribed(False)
        elif self.readable(publication, who.identity) and track not in self._received:
            self._received[track] = (publication, who)
            for handler in self._on_received:
                handler(track, publication, who)

    def _lost(self, track: rtc.Track | None) -> None:
        if track is None or (known := self._received.pop(track, None)) is None:
            return
        for handler in self._on_lost:
            handler(track, *known)

    def _encryption_changed(
        self, who: rtc.Participant | None, state: e2ee_pb2.EncryptionState.ValueType
    ) -> None:
        if not isinstance(who, rtc.RemoteParticipant) or state == _NOT_YET:
            return
        encrypted = [p for p in who.track_publications.values() if is_encrypted(p)]
        if state in _DECIPHERED:
            self._deciphered.add(who.identity)
            for publication in encrypted:
                if publication.track is not None:
                    self._subscribed(publication.track, publication, who)
            return
        log.warning("decryption_failed", identity=who.identity)
        self._deciphered.discard(who.identity)
        for publication in encrypted:
            self._given_up.add(publication.sid)
            self._lost(publication.track)
            publication.set_subscribed(False)


def is_encrypted(publication: rtc.TrackPublication) -> bool:
    """By the participant's own client, end to end."""
    return publication.encryption_type != e2ee_pb2.EncryptionType.NONE
