"""Track statistics -> readings, every 10 s, from interval counters of each subscription."""

import asyncio
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import structlog
from livekit import rtc

from agent.handlers import listen
from agent.presence import is_recorded, published_already
from agent.recorder import Recorder, now
from agent.session.errors import what_failed
from agent.session.events import GapNoted, QualityRead
from agent.session.metrics import InboundCounters, Interval, between
from agent.session.rooms import storable
from agent.settings import Settings
from agent.tasks import Tasks

log = structlog.stdlib.get_logger()

SAMPLE_SECONDS = 2.0  # of each interval for which `sampled` video is subscribed
FIRST_PACKET_SECONDS = 0.1  # between looks for a subscription's first packet
SOURCES = {
    rtc.TrackSource.SOURCE_CAMERA: "camera",
    rtc.TrackSource.SOURCE_MICROPHONE: "microphone",
    rtc.TrackSource.SOURCE_SCREENSHARE: "screen_share",
    rtc.TrackSource.SOURCE_SCREENSHARE_AUDIO: "screen_share_audio",
}


@dataclass(slots=True)
class _Watched:
    """A subscribed track; `changed` is set when it was muted, unmuted or is gone."""

    track: rtc.Track
    publication: rtc.RemoteTrackPublication
    identity: str
    gone: bool = False
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    def end(self) -> None:
        """Take the last reading."""
        self.gone = True
        self.changed.set()


class Quality:
    """Reads the statistics of every subscribed track."""

    def __init__(self, room: rtc.Room, recorder: Recorder, settings: Settings) -> None:
        self._room = room
        self._recorder = recorder
        self._interval = settings.recorder_stats_interval
        self._video = settings.recorder_video
        self._watched: dict[str, _Watched] = {}  # by track_sid
        self._reading = Tasks()
        listen(room, "track_published", self._published)
        listen(room, "track_subscribed", self._subscribed)
        listen(room, "track_unsubscribed", lambda _track, publication, _who: self._unsubscribed(publication))
        listen(room, "track_muted", lambda _who, publication: self._muted_or_not(publication))
        listen(room, "track_unmuted", lambda _who, publication: self._muted_or_not(publication))

    def subscribe_to_those_already_here(self) -> None:
        """Tracks published before we came get no `track_published`."""
        for publication, participant in published_already(self._room):
            self._published(publication, participant)

    async def close(self) -> None:
        """Take the last readings and stop."""
        for watched in self._watched.values():
            watched.end()
        await self._reading.close(grace=2.0)

    def _published(self, publication: rtc.RemoteTrackPublication, who: rtc.RemoteParticipant) -> None:
        if publication.kind != rtc.TrackKind.KIND_VIDEO or not is_recorded(who):
            return
        if self._video == "always":
            publication.set_subscribed(True)
        elif self._video == "sampled":
            self._reading.start(self._sample(publication, who))

    def _subscribed(
        self, track: rtc.Track, publication: rtc.RemoteTrackPublication, who: rtc.RemoteParticipant
    ) -> None:
        watched = _Watched(track, publication, storable(who.identity))
        self._watched[publication.sid] = watched
        self._reading.start(self._read(watched))

    def _unsubscribed(self, publication: rtc.RemoteTrackPublication) -> None:
        if watched := self._watched.pop(publication.sid, None):
            watched.end()

    def _muted_or_not(self, publication: rtc.TrackPublication) -> None:
        if watched := self._watched.get(publication.sid):
            watched.changed.set()

    async def _read(self, watched: _Watched) -> None:
        """Readings of one subscription; should they fail, the record says so and the session goes on."""
        began = now()
        try:
            await self._take_readings(watched)
        except Exception as error:
            log.error("reading_failed", identity=watched.identity, **what_failed(error))
            identity = watched.identity
            gap = GapNoted(at=began, until=now(), what="quality", reason="recorder_error", identity=identity)
            self._recorder.record(gap)

    async def _take_readings(self, watched: _Watched) -> None:
        """A reading at each interval, and where muting or leaving cuts one short."""
        clock = asyncio.get_running_loop().time
        earlier = await self._first_packet(watched)
        due = clock() + self._interval
        while not watched.gone:
            with suppress(TimeoutError):
                async with asyncio.timeout_at(due):
                    await watched.changed.wait()
            changed = watched.changed.is_set()
            watched.changed.clear()
            later = await counters_of(watched.track)
            if earlier and later and (interval := between(earlier, later)):
                self._record(watched, interval, later)
                later = later.after(earlier)
            earlier = None if watched.publication.muted else later or earlier
            due = (clock() if changed else due) + self._interval

    async def _first_packet(self, watched: _Watched) -> InboundCounters | None:
        """The counters as the subscription begins; None when it ended or was muted before a packet came."""
        while not watched.gone and not watched.publication.muted:
            if counters := await counters_of(watched.track):
                return counters
            await asyncio.sleep(FIRST_PACKET_SECONDS)
        return None

    def _record(self, watched: _Watched, interval: Interval, later: InboundCounters) -> None:
        self._recorder.record(
            QualityRead(
                at=now(),
                seconds=round(interval.seconds, 3),
                identity=watched.identity,
                track_sid=watched.publication.sid,
                source=SOURCES.get(watched.publication.source, "unknown"),
                leg="sfu_to_recorder",
                bitrate_kbps=round(interval.bitrate_kbps, 3),
                fps=None if interval.fps is None else round(interval.fps, 2),
                packets_lost=interval.packets_lost,
                packets_received=interval.packets_received,
                jitter_ms=_milliseconds(later.jitter),
                round_trip_ms=_milliseconds(later.round_trip_time),
                width=later.width,
                height=later.height,
            )
        )

    async def _sample(self, publication: rtc.RemoteTrackPublication, who: rtc.RemoteParticipant) -> None:
        """Subscribe to a camera for a moment of each interval; `_read` takes the reading as it ends."""
        while self._room.isconnected() and publication.sid in who.track_publications:
            publication.set_subscribed(not publication.muted)
            await asyncio.sleep(SAMPLE_SECONDS)
            if watched := self._watched.get(publication.sid):
                watched.end()
            publication.set_subscribed(False)
            await asyncio.sleep(self._interval - SAMPLE_SECONDS)


async def counters_of(track: rtc.Track) -> InboundCounters | None:
    """The running totals of a subscription; None before its first packet."""
    stats = await track.get_stats()
    inbound = next((s.inbound_rtp for s in stats if s.HasField("inbound_rtp")), None)
    if inbound is None or inbound.received.packets_received == 0:
        return None
    video = inbound.stream.kind == "video"
    return InboundCounters(
        timestamp=inbound.rtc.timestamp / 1e6,
        bytes_received=inbound.inbound.bytes_received,
        packets_received=inbound.received.packets_received,
        packets_lost=inbound.received.packets_lost,
        frames_received=inbound.inbound.frames_received if video else None,
        jitter=inbound.received.jitter,
        round_trip_time=_round_trip_time(stats),
        width=inbound.inbound.frame_width if video else None,
        height=inbound.inbound.frame_height if video else None,
    )


def _round_trip_time(stats: list[Any]) -> float | None:
    """Of the transport in use: STUN's round trip between SFU and recorder."""
    pairs = [s.candidate_pair.candidate_pair for s in stats if s.HasField("candidate_pair")]
    times = [p.current_round_trip_time for p in pairs if p.nominated and p.responses_received > 0]
    return min(times, default=None)


def _milliseconds(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds * 1000, 3)
