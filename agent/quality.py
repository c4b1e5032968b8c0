"""Track statistics -> readings, every 10 s, from interval counters of each subscription."""

import asyncio
from collections.abc import Callable
from datetime import timedelta
from math import ceil

import structlog
from livekit import rtc

from agent.clock import now
from agent.forwarding import forward
from agent.handlers import listen
from agent.presence import is_recorded, published_already
from agent.receiving import Receiving
from agent.recorder import Recorder
from agent.session.counters import InboundCounters
from agent.session.errors import what_failed
from agent.session.events import GapNoted, QualityRead, milliseconds
from agent.session.intervals import Interval, between
from agent.session.legs import LostPackets
from agent.session.rooms import storable
from agent.settings import Settings
from agent.tasks import Tasks
from agent.watched import Watched

log = structlog.stdlib.get_logger()

BEGINNING_SECONDS = 90.0  # for which `sampled` video is subscribed all the time: short sessions are exact
SAMPLE_SECONDS = 1.8  # of each interval from then on
SOURCES = {
    rtc.TrackSource.SOURCE_CAMERA: "camera",
    rtc.TrackSource.SOURCE_MICROPHONE: "microphone",
    rtc.TrackSource.SOURCE_SCREENSHARE: "screen_share",
    rtc.TrackSource.SOURCE_SCREENSHARE_AUDIO: "screen_share_audio",
}
Look = Callable[[rtc.RemoteTrackPublication, float | None], None]


class Quality:
    """Reads the statistics of every track that is received.

    `on_look` is told of each how long it has been silent, as `Watched` does.
    """

    def __init__(
        self, room: rtc.Room, recorder: Recorder, settings: Settings, receiving: Receiving, on_look: Look
    ) -> None:
        self._room = room
        self._recorder = recorder
        self._receiving = receiving
        self._on_look = on_look
        self._interval = settings.recorder_stats_interval
        short = self._interval <= 2 * SAMPLE_SECONDS
        self._video = "always" if short and settings.recorder_video == "sampled" else settings.recorder_video
        self._watched: dict[rtc.Track, Watched] = {}
        self._sampled: set[str] = set()  # track_sids
        self._reading = Tasks()
        listen(room, "track_published", self._published)
        listen(room, "reconnected", self.subscribe_to_those_already_here)
        receiving.follow(received=self._received, lost=lambda track, _publication, _who: self._lost(track))
        listen(room, "track_muted", lambda _who, publication: self._muted_or_not(publication))
        listen(room, "track_unmuted", lambda _who, publication: self._muted_or_not(publication))

    def subscribe_to_those_already_here(self) -> None:
        """Tracks published before we came, or came back, get no `track_published`."""
        for publication, participant in published_already(self._room):
            self._published(publication, participant)

    def delay_of(self, track_sid: str) -> timedelta:
        """How late the sound of a track is heard, after LiveKit's server sent it."""
        watched = self._watching(track_sid)
        return timedelta(seconds=watched.delay if watched else 0.0)

    async def close(self) -> None:
        """Take the last readings and stop."""
        for watched in self._watched.values():
            watched.end()
        await self._reading.close(grace=2.0)

    def _published(self, publication: rtc.RemoteTrackPublication, who: rtc.RemoteParticipant) -> None:
        if publication.kind != rtc.TrackKind.KIND_VIDEO or not is_recorded(who):
            return
        if not self._receiving.wanted(publication):
            return
        if self._video == "always":
            publication.set_subscribed(True)
        elif self._video == "sampled" and publication.sid not in self._sampled:
            self._sampled.add(publication.sid)
            self._reading.start(self._sample(publication, who))

    def _received(
        self, track: rtc.Track, publication: rtc.RemoteTrackPublication, who: rtc.RemoteParticipant
    ) -> None:
        watched = self._watched[track] = Watched(
            track,
            publication,
            storable(who.identity),
            on_look=lambda watched, silence: self._on_look(watched.publication, silence),
            has_pauses=source_of(publication).startswith("screen_share"),
        )
        self._reading.start(self._read(watched))

    def _lost(self, track: rtc.Track) -> None:
        if watched := self._watched.pop(track, None):
            watched.end()

    def _watching(self, track_sid: str) -> Watched | None:
        """Of two subscriptions of one track, the later."""
        return next((w for w in reversed(self._watched.values()) if w.publication.sid == track_sid), None)

    def _muted_or_not(self, publication: rtc.TrackPublication) -> None:
        if watched := self._watching(publication.sid):
            watched.changed.set()

    async def _read(self, watched: Watched) -> None:
        """Readings of one subscription; should they fail, the record says so and the session goes on."""
        began = now()
        try:
            await self._take_readings(watched)
        except Exception as error:
            log.error("reading_failed", identity=watched.identity, **what_failed(error))
            identity = watched.identity
            gap = GapNoted(at=began, until=now(), what="quality", reason="recorder_error", identity=identity)
            self._recorder.record(gap)

    async def _take_readings(self, watched: Watched) -> None:
        """A reading at each interval, and where muting or leaving cuts one short."""
        clock = asyncio.get_running_loop().time
        earlier = await watched.first_counters()
        due = clock() + self._interval
        steady = await watched.steady_counters()
        while not watched.gone:
            changed = await watched.due_or_changed(due)
            watched.changed.clear()
            later = await watched.counters_until(earlier)
            earlier = watched.beginning(earlier) if earlier else None
            if earlier and later:
                later = watched.without_farewell(later, earlier)
            if (
                earlier
                and later
                and (interval := between(earlier, later, steady=steady, resumed=watched.resumed))
            ):
                last = watched.gone or watched.publication.muted
                self._record(watched, interval, watched.losses.take(later, last=last), later)
                later = later.after(earlier)
            earlier, steady = None if watched.publication.muted else later or earlier, None
            due = (clock() if changed else due) + self._interval

    def _record(
        self, watched: Watched, interval: Interval, lost: LostPackets, later: InboundCounters
    ) -> None:
        video = later.video
        self._recorder.record(
            QualityRead(
                at=milliseconds(now() - timedelta(seconds=watched.age_of(later))),
                seconds=round(interval.seconds, 3),
                identity=watched.identity,
                track_sid=watched.publication.sid,
                source=source_of(watched.publication),
                leg="sfu_to_recorder",
                bitrate_kbps=round(interval.bitrate_kbps, 3),
                fps=_rounded(interval.fps, 2),
                packets_lost=lost.on_leg,
                packets_lost_upstream=lost.upstream,
                packets_received=interval.packets_received,
                packets_repaired=interval.packets_repaired,
                jitter_ms=_milliseconds(later.jitter),
                round_trip_ms=_milliseconds(later.round_trip_time),
                width=video.width if video else None,
                height=video.height if video else None,
                concealed_percentage=_rounded(interval.concealed_percentage, 3),
                mos=_rounded(interval.mos, 3),
                freeze_count=interval.freeze_count,
                freeze_seconds=_rounded(interval.freeze_seconds, 3),
            )
        )

    async def _sample(self, publication: rtc.RemoteTrackPublication, who: rtc.RemoteParticipant) -> None:
        """Watch a camera for its beginning, and then for a moment of each interval.

        It stays subscribed: LiveKit's server sends nothing of it between the samples. `_read` takes the
        reading as each of them ends.
        """
        publication.set_subscribed(True)
        await asyncio.sleep(ceil(BEGINNING_SECONDS / self._interval) * self._interval + SAMPLE_SECONDS)
        while self._room.isconnected() and publication.sid in who.track_publications:
            if watched := self._watching(publication.sid):
                watched.rest()
                forward(publication, wanted=False)
            await asyncio.sleep(self._interval - SAMPLE_SECONDS)
            if watched and watched is self._watching(publication.sid) and not publication.muted:
                await watched.resume()
                forward(publication, wanted=True)
                self._reading.start(self._read(watched))
            await asyncio.sleep(SAMPLE_SECONDS)


def source_of(publication: rtc.TrackPublication) -> str:
    """What a client does not name, it most likely is."""
    likely = "camera" if publication.kind == rtc.TrackKind.KIND_VIDEO else "microphone"
    return SOURCES.get(publication.source, likely)


def _rounded(value: float | None, digits: int) -> float | None:
    return None if value is None else round(value, digits)


def _milliseconds(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds * 1000, 3)
