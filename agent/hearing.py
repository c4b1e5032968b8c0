"""When a microphone was on and nothing of it was heard: from when to when, and why."""

import asyncio
from dataclasses import dataclass
from datetime import datetime, timedelta

from livekit import rtc

from agent.clock import now
from agent.ear import Ear
from agent.handlers import listen
from agent.receiving import Receiving, is_encrypted
from agent.recorder import TAKEN_OVER, Recorder
from agent.session.events import GapNoted, milliseconds
from agent.session.reasons import CONNECTION_LOST, ENCRYPTED, NOT_PERMITTED, NOT_RECEIVED
from agent.session.rooms import storable

SUBSCRIBING, JOINED_LATE = "subscribing", "recorder_joined_late"

STALL = timedelta(seconds=2)  # without a packet; in a pause (DTX) one comes every 0.4 s
SOON = timedelta(seconds=5)  # a subscription takes a moment; what takes longer is withheld
LEAST = timedelta(seconds=0.2)  # as a track ends, its subscription ends first
TELL_AFTER = timedelta(seconds=30)  # what goes on is told in pieces, lest it be lost with us
DECIDE_AFTER = timedelta(seconds=1)  # a track ends before LiveKit says what became of its publisher
TICK_SECONDS = 1.0

_PEOPLE = (rtc.ParticipantKind.PARTICIPANT_KIND_STANDARD,)
_FAREWELL = (
    rtc.DisconnectReason.CLIENT_INITIATED,
    rtc.DisconnectReason.SERVER_SHUTDOWN,
    rtc.DisconnectReason.PARTICIPANT_REMOVED,
    rtc.DisconnectReason.ROOM_DELETED,
    rtc.DisconnectReason.ROOM_CLOSED,
)


@dataclass(slots=True)
class _Microphone:
    """One that is on since then. `unheard_since`: nothing of it is heard since; None while it is heard.

    `first`: it was not heard at all yet. `why`, where that is known already. `may_pause`: it is a program's
    or a telephone's, which may send nothing while it has nothing to say.
    """

    publication: rtc.RemoteTrackPublication
    identity: str
    since: datetime
    before_us: bool
    may_pause: bool
    unheard_since: datetime | None
    subscribed_at: datetime | None
    first: bool = True
    why: str | None = None

    @property
    def stalled(self) -> bool:
        return self.why in (NOT_RECEIVED, CONNECTION_LOST)

    def begins(self, since: datetime, why: str | None) -> None:
        """From then on nothing of it is heard."""
        self.unheard_since, self.first, self.why = since, False, why


class Hearing:
    """Sets the microphones that are on against what is heard of them."""

    def __init__(self, room: rtc.Room, recorder: Recorder, receiving: Receiving) -> None:
        self._room = room
        self._recorder = recorder
        self._receiving = receiving
        self._on: dict[str, _Microphone] = {}  # by track_sid
        self._ears: dict[str, Ear] = {}  # by track_sid, while they give sound
        self._undecided: list[tuple[_Microphone, datetime, datetime]] = []  # since, until
        self._back_at: datetime | None = None  # we were cut off until then
        self._ticking: asyncio.TimerHandle | None = None
        listen(room, "track_subscribed", self._subscribed)
        listen(room, "participant_disconnected", self._left)
        listen(room, "connection_quality_changed", self._quality_changed)
        listen(room, "reconnected", self._reconnected)

    def turned_on(
        self,
        publication: rtc.RemoteTrackPublication,
        who: rtc.RemoteParticipant,
        since: datetime,
        *,
        before_us: bool,
    ) -> None:
        """A microphone can be heard from then on, if nothing is in the way."""
        heard = publication.sid in self._ears
        self._on[publication.sid] = _Microphone(
            publication,
            storable(who.identity),
            since,
            before_us,
            who.kind not in _PEOPLE,
            unheard_since=None if heard else since,
            subscribed_at=since if publication.subscribed else None,
        )
        if self._ticking is None:
            self._tick()

    def turned_off(self, track_sid: str, at: datetime) -> None:
        """It is muted, or gone."""
        microphone = self._on.pop(track_sid, None)
        if microphone is None or (since := microphone.unheard_since) is None:
            return
        microphone.why = self._reason(microphone, since, at)
        if microphone.why == NOT_RECEIVED:
            self._undecided.append((microphone, since, at))
        else:
            self._note(microphone, since, at)

    def heard(self, publication: rtc.RemoteTrackPublication, ear: Ear) -> None:
        """The first sample of a subscription is there."""
        self._ears[publication.sid] = ear
        self._heard_again(publication.sid, ear.time_of(0))

    def deaf(self, publication: rtc.RemoteTrackPublication, ear: Ear) -> None:
        """A subscription has ended; another of the same track may have begun."""
        if self._ears.get(publication.sid) is not ear:
            return
        del self._ears[publication.sid]
        microphone = self._on.get(publication.sid)
        if microphone and microphone.unheard_since is None:
            microphone.begins(max(ear.frames_until or now(), microphone.since), None)

    def looked(self, publication: rtc.RemoteTrackPublication, silence: float | None) -> None:
        """No packet of it came for so many seconds; None: it is not sent to us any more."""
        microphone, present = self._on.get(publication.sid), now()
        if microphone is None or self._room.connection_state != rtc.ConnectionState.CONN_CONNECTED:
            return
        if silence is None:
            ear = self._ears.get(publication.sid)
            last, why = (ear.frames_until if ear else None) or present, NOT_PERMITTED
        else:
            last, why = milliseconds(present - timedelta(seconds=silence)), NOT_RECEIVED
        if microphone.unheard_since is None:
            since = max(last, microphone.since, self._back_at or last)
            if present - since > STALL:
                microphone.begins(since, why)
        elif silence is not None and microphone.stalled and microphone.unheard_since + LEAST < last:
            self._heard_again(publication.sid, last)

    def close(self) -> None:
        """The recording ends: so does what is missing."""
        if self._ticking is not None:
            self._ticking.cancel()
        for track_sid in list(self._on):
            self.turned_off(track_sid, now())
        self._decide()

    def _heard_again(self, track_sid: str, at: datetime) -> None:
        microphone = self._on.get(track_sid)
        if microphone is None or (since := microphone.unheard_since) is None:
            return
        microphone.why = self._reason(microphone, since, at)
        self._note(microphone, since, at)
        microphone.unheard_since, microphone.first, microphone.why = None, False, None

    def _reason(self, microphone: _Microphone, since: datetime, until: datetime) -> str:
        publication = microphone.publication
        if microphone.why is not None:
            return microphone.why
        if not self._receiving.readable(publication, microphone.identity):
            return ENCRYPTED
        if not microphone.first:
            return NOT_PERMITTED
        possible = max(since, self._recorder.began_at)
        if until - possible < SOON:
            return JOINED_LATE if microphone.before_us else SUBSCRIBING
        if is_encrypted(publication):
            return ENCRYPTED
        subscribed_at = microphone.subscribed_at
        return NOT_PERMITTED if subscribed_at is None or subscribed_at - possible > SOON else NOT_RECEIVED

    def _note(self, microphone: _Microphone, since: datetime, until: datetime) -> None:
        """What a recorder before us heard is not missing; nothing was withheld from us before we came."""
        why, first = microphone.why or NOT_RECEIVED, microphone.first
        if (why == NOT_RECEIVED and microphone.may_pause) or (not first and until - since < LEAST):
            return

        def note(predecessor_until: datetime | None) -> None:
            begin, before = since, JOINED_LATE
            if predecessor_until is not None and predecessor_until > since:
                begin, before = predecessor_until, TAKEN_OVER
            reason = before if why in (JOINED_LATE, SUBSCRIBING) and begin != since else why
            came = self._recorder.began_at
            if first and why in (NOT_PERMITTED, NOT_RECEIVED) and begin < came < until:
                self._gap(microphone.identity, begin, came, before)
                begin = came
            self._gap(microphone.identity, begin, until, reason)

        self._recorder.when_claimed(note)

    def _gap(self, identity: str, begin: datetime, end: datetime, reason: str) -> None:
        if end > begin:
            self._recorder.record(
                GapNoted(at=begin, until=end, what="transcript", reason=reason, identity=identity)
            )

    def _tick(self) -> None:
        self._ticking = asyncio.get_running_loop().call_later(TICK_SECONDS, self._tick)
        present = now()
        for microphone in self._on.values():
            since = microphone.unheard_since
            if since is not None and present - since > TELL_AFTER:
                microphone.why = self._reason(microphone, since, present)
                self._note(microphone, since, present)
                microphone.unheard_since, microphone.first = present, False
        self._decide(before=present - DECIDE_AFTER)

    def _decide(self, before: datetime | None = None, lost: str | None = None) -> None:
        """Those that ended before then, or whose publisher was `lost`, are as they are by now."""
        undecided, self._undecided = self._undecided, []
        for microphone, since, until in undecided:
            if lost is not None and microphone.identity == lost:
                microphone.why = CONNECTION_LOST
            elif lost is not None or (before is not None and until > before):
                self._undecided.append((microphone, since, until))
                continue
            self._note(microphone, since, until)

    def _subscribed(
        self, _track: rtc.Track, publication: rtc.RemoteTrackPublication, _who: rtc.RemoteParticipant
    ) -> None:
        if (microphone := self._on.get(publication.sid)) and microphone.subscribed_at is None:
            microphone.subscribed_at = now()

    def _left(self, who: rtc.RemoteParticipant) -> None:
        if who.disconnect_reason not in _FAREWELL:
            self._decide(lost=storable(who.identity))

    def _quality_changed(self, who: rtc.Participant | None, quality: rtc.ConnectionQuality) -> None:
        if who is None or quality != rtc.ConnectionQuality.QUALITY_LOST:
            return
        for microphone in self._on.values():
            if microphone.why == NOT_RECEIVED and microphone.identity == storable(who.identity):
                microphone.why = CONNECTION_LOST

    def _reconnected(self) -> None:
        self._back_at = now()
