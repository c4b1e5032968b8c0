"""Who can be heard, and since when: a microphone is published, muted, unmuted, unpublished."""

from dataclasses import dataclass
from datetime import datetime

from livekit import rtc

from agent.clock import now
from agent.handlers import listen
from agent.presence import is_recorded, published_already
from agent.published import Published
from agent.recorder import Recorder
from agent.session.events import MicrophoneChanged, milliseconds
from agent.session.rooms import storable


@dataclass(frozen=True, slots=True)
class On:
    """A microphone that can be heard since then; `before_us`: it was published before we came."""

    since: datetime
    before_us: bool


class Microphones:
    """Follows every recorded participant's microphones. What a screen share plays is not one."""

    def __init__(self, room: rtc.Room, recorder: Recorder) -> None:
        self._room = room
        self._recorder = recorder
        self._on: dict[str, On] = {}  # by track_sid
        listen(room, "track_published", self._changed)
        listen(room, "track_unpublished", self._off)
        listen(room, "track_muted", lambda who, publication: self._off(publication, who))
        listen(room, "track_unmuted", lambda who, publication: self._changed(publication, who))
        listen(room, "reconnected", self._note_those_who_are_back)

    def note_those_already_here(self, published: Published) -> None:
        """Those published before we came can be heard since then."""
        for publication, who in published_already(self._room):
            self._changed(publication, who, published_at=published.since(publication, who))

    def _note_those_who_are_back(self) -> None:
        """Whoever was back before us after a restart of the server gets no `track_published`."""
        for publication, who in published_already(self._room):
            self._changed(publication, who)

    def on(self, track_sid: str) -> On | None:
        """Since when a microphone can be heard; None while it cannot."""
        return self._on.get(track_sid)

    def _changed(
        self,
        publication: rtc.TrackPublication,
        who: rtc.Participant,
        published_at: datetime | None = None,
    ) -> None:
        if publication.muted or publication.sid in self._on or not _is_microphone(publication, who):
            return
        on = On(milliseconds(published_at or now()), before_us=published_at is not None)
        self._on[publication.sid] = on
        # What was before a recorder that we replace was last known to live is in its journal.
        self._recorder.when_claimed(
            lambda until: self._record(publication, who, max(on.since, until or on.since), on=True)
        )

    def _off(self, publication: rtc.TrackPublication, who: rtc.Participant) -> None:
        if self._on.pop(publication.sid, None):
            self._record(publication, who, now(), on=False)

    def _record(
        self, publication: rtc.TrackPublication, who: rtc.Participant, at: datetime, *, on: bool
    ) -> None:
        identity = storable(who.identity)
        self._recorder.record(MicrophoneChanged(at=at, identity=identity, track_sid=publication.sid, on=on))


def _is_microphone(publication: rtc.TrackPublication, who: rtc.Participant) -> bool:
    return (
        isinstance(who, rtc.RemoteParticipant)
        and is_recorded(who)
        and publication.kind == rtc.TrackKind.KIND_AUDIO
        and publication.source != rtc.TrackSource.SOURCE_SCREENSHARE_AUDIO
    )
