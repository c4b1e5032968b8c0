"""Who can be heard, and since when: a microphone is published, muted, unmuted, unpublished."""

import asyncio
from dataclasses import dataclass
from datetime import datetime

from livekit import rtc

from agent.clock import now
from agent.handlers import listen
from agent.hearing import Hearing
from agent.presence import is_recorded, is_voice, published_already
from agent.published import Published
from agent.recorder import Recorder
from agent.session.events import MicrophoneChanged, milliseconds
from agent.session.rooms import storable

CHANGES = 10  # of one participant at once, and in a second: a program can mute and unmute without end


@dataclass(frozen=True, slots=True)
class _Change:
    """A microphone goes on or off; `before_us`: it was published before we came."""

    publication: rtc.RemoteTrackPublication
    who: rtc.RemoteParticipant
    at: datetime
    on: bool
    before_us: bool = False


class Microphones:
    """Follows every recorded participant's microphones. What a screen share plays is not one.

    Of changes that come faster than `CHANGES` a second, the last is told.
    """

    def __init__(self, room: rtc.Room, recorder: Recorder, hearing: Hearing) -> None:
        self._room = room
        self._recorder = recorder
        self._hearing = hearing
        self._on: set[str] = set()  # track_sids
        self._told: set[str] = set()  # of those that are on, as far as it is told
        self._waiting: dict[str, dict[str, _Change]] = {}  # by identity and track_sid
        self._spent: dict[str, int] = {}  # changes told lately, by identity
        self._refilling: asyncio.TimerHandle | None = None
        listen(room, "track_published", self._changed)
        listen(room, "track_unpublished", self._off)
        listen(room, "track_muted", lambda who, publication: self._off(publication, who))
        listen(room, "track_unmuted", lambda who, publication: self._changed(publication, who))
        listen(room, "reconnected", self._note_those_who_are_back)

    def note_those_already_here(self, published: Published) -> None:
        """Those published before we came can be heard since then."""
        for publication, who in published_already(self._room):
            self._changed(publication, who, published_at=published.since(publication, who))

    def close(self) -> None:
        """Tell what still waits."""
        if self._refilling is not None:
            self._refilling.cancel()
        self._spent.clear()
        for identity in list(self._waiting):
            self._tell(identity)

    def _note_those_who_are_back(self) -> None:
        """Whoever was back before us after a restart of the server gets no `track_published`."""
        for publication, who in published_already(self._room):
            self._changed(publication, who)

    def _changed(
        self,
        publication: rtc.TrackPublication,
        who: rtc.Participant,
        published_at: datetime | None = None,
    ) -> None:
        if publication.muted or publication.sid in self._on or not _is_microphone(publication, who):
            return
        assert isinstance(publication, rtc.RemoteTrackPublication)
        assert isinstance(who, rtc.RemoteParticipant)
        self._on.add(publication.sid)
        at = milliseconds(published_at or now())
        self._soon(_Change(publication, who, at, on=True, before_us=published_at is not None))

    def _off(self, publication: rtc.TrackPublication, who: rtc.Participant) -> None:
        if publication.sid in self._on:
            assert isinstance(publication, rtc.RemoteTrackPublication)
            self._on.remove(publication.sid)
            assert isinstance(who, rtc.RemoteParticipant)
            self._soon(_Change(publication, who, now(), on=False))

    def _soon(self, change: _Change) -> None:
        identity = storable(change.who.identity)
        waiting = self._waiting.setdefault(identity, {})
        waiting.pop(change.publication.sid, None)
        waiting[change.publication.sid] = change
        self._tell(identity)

    def _tell(self, identity: str) -> None:
        """What waits, as far as it may be told now, and differs from what was."""
        waiting = self._waiting.get(identity, {})
        for track_sid, change in list(waiting.items()):
            if change.on != (track_sid in self._told):
                if self._spent.get(identity, 0) >= CHANGES:
                    return
                self._spent[identity] = self._spent.get(identity, 0) + 1
                self._refill_later()
                self._record(identity, change)
            del waiting[track_sid]
        if not waiting:
            self._waiting.pop(identity, None)

    def _refill_later(self) -> None:
        if self._refilling is None:
            self._refilling = asyncio.get_running_loop().call_later(1 / CHANGES, self._refill)

    def _refill(self) -> None:
        self._refilling = None
        self._spent = {identity: spent - 1 for identity, spent in self._spent.items() if spent > 1}
        if self._spent:
            self._refill_later()
        for identity in list(self._waiting):
            self._tell(identity)

    def _record(self, identity: str, change: _Change) -> None:
        publication, at = change.publication, change.at

        def record(at: datetime) -> None:
            self._recorder.record(
                MicrophoneChanged(at=at, identity=identity, track_sid=publication.sid, on=change.on)
            )

        if change.on:
            self._told.add(publication.sid)
            # What was before a recorder that we replace was last known to live is in its journal.
            self._recorder.when_claimed(lambda until: record(max(at, until or at)))
            self._hearing.turned_on(publication, change.who, at, before_us=change.before_us)
        else:
            self._told.remove(publication.sid)
            record(at)
            self._hearing.turned_off(publication.sid, at)


def _is_microphone(publication: rtc.TrackPublication, who: rtc.Participant) -> bool:
    return isinstance(who, rtc.RemoteParticipant) and is_recorded(who) and is_voice(publication)
