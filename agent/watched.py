"""A subscribed track whose statistics are read."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field

from livekit import rtc

from agent.session.counters import InboundCounters
from agent.session.legs import LossByLeg
from agent.session.perceived import one_way_delay
from agent.track_stats import SenderReports, counters_of

FIRST_LOOKS = 0.06  # s between looks for what comes first: libwebrtc answers from a cache for 50 ms
LATER_LOOKS = 0.5  # the same, when nothing came within
STEADY_AFTER = 0.5  # s after the first picture
FRAMELESS = 2.0  # s; from then on what comes is read even if no frame is whole
SOUND_LOOKS = 2.0  # s between looks whether sound still comes
HOLE_LOOKS = 0.2  # the same, while nothing comes: when it comes again is known so exactly
ENDED = 10.0  # s; who sends nothing for longer has stopped: what comes then is a new beginning

Look = Callable[["Watched", float | None], None]


@dataclass(slots=True)
class Watched:
    """`changed` is set when the track was muted, unmuted or is gone.

    `on_look` is told, each time, for how many seconds nothing has come; None: LiveKit's server has taken the
    track from our connection. `has_pauses`: it may send nothing for a while, as a still shared screen.
    `delay`: how late sound is heard, in s, as of the last look; 0 before two of them.
    """

    track: rtc.Track
    publication: rtc.RemoteTrackPublication
    identity: str
    on_look: Look = lambda _watched, _silence: None
    has_pauses: bool = False
    gone: bool = False
    resting: bool = False  # it is we who ended it, not the track
    resumed: bool = False  # after a rest: its counters go on
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    losses: LossByLeg = field(default_factory=LossByLeg)
    delay: float = 0.0
    _latest: InboundCounters | None = None
    _looked_at: float = 0.0  # when that was, by the event loop's clock
    _came_again: InboundCounters | None = None  # after a hole that was too long to be one
    _reports: SenderReports = field(default_factory=SenderReports)
    _began: float = field(default_factory=lambda: asyncio.get_running_loop().time())

    def age_of(self, counters: InboundCounters) -> float:
        """For how many seconds they have been history."""
        if self._latest is None:
            return 0.0
        looked = asyncio.get_running_loop().time() - self._looked_at
        return max(looked + self._latest.timestamp - counters.timestamp, 0.0)

    def end(self) -> None:
        """Take the last reading."""
        self.gone = True
        self.changed.set()

    def rest(self) -> None:
        """Take the last reading of a sample."""
        self.resting = True
        self.end()

    async def resume(self) -> None:
        """Begin the next sample."""
        await self.counters()
        self.gone = self.resting = False
        self.resumed = True
        self.changed.clear()

    async def counters(self) -> InboundCounters | None:
        """As they are now; None before the first packet."""
        counters, at = await counters_of(self.track), asyncio.get_running_loop().time()
        if counters is None:
            self._reports.nothing(at)
            if not self.gone:
                self.on_look(self, None if self._latest else at - self._began)
            return None
        if self._latest:
            if (delay := one_way_delay(self._latest, counters)) is not None:
                self.delay = delay
            before, after = self._latest.last_packet_at, counters.last_packet_at
            if before and after and after - before > ENDED and not self.has_pauses:
                self._came_again = counters
        self._latest, self._looked_at = counters, at
        self.losses.note(counters)
        self._reports.note(counters, at)
        if not self.gone:
            self.on_look(self, counters.silence)
        return counters

    async def counters_until(self, earlier: InboundCounters | None) -> InboundCounters | None:
        """As they are now, or were when the last packet came, if none has come for a while.

        When a track has gone that had been silent, or was taken from us, as they were before that: LiveKit's
        server adds packets of its own when it ends a track.
        """
        known = self._latest
        silent = known is not None and self._hole_is_open(known)
        counters = await self.counters()
        if self.gone and not self.resting and (silent or counters is None):
            counters = known
        if counters is None or earlier is None or not self._hole_is_open(counters):
            return counters
        return counters.until_last_packet(earlier)

    def beginning(self, earlier: InboundCounters) -> InboundCounters:
        """Where the interval begins: at `earlier`, or where packets came again after too long for one."""
        again, self._came_again = self._came_again, None
        return again if again and again.timestamp - earlier.timestamp > ENDED else earlier

    def _hole_is_open(self, counters: InboundCounters) -> bool:
        return counters.hole_is_open and not self.has_pauses

    async def first_counters(self) -> InboundCounters | None:
        """As the subscription begins; None when it ended or was muted before a packet came.

        Of video, as they were just before its first frame. That one is a large key frame, for which the
        encoder saves on those after it: a short reading without it is too low. Before it comes padding.
        """
        clock = asyncio.get_running_loop().time
        began = looked_at = clock()
        before = self._latest if self.resumed else None
        shown = before.video.frames_received if before and before.video else 0
        while not self.gone and not self.publication.muted:
            counters = await self.counters()
            if counters and (counters.video is None or (before and clock() - began > FRAMELESS)):
                return counters
            if counters and counters.video and counters.video.frames_received > shown:
                return before or counters.nothing_yet(clock() - looked_at)
            before, looked_at = counters, clock()
            await asyncio.sleep(FIRST_LOOKS if clock() - began < FRAMELESS else LATER_LOOKS)
        return None

    async def steady_counters(self) -> InboundCounters | None:
        """As they are when the first picture, and what was held up behind it, is there; None of sound."""
        if self._latest is None or self._latest.video is None:
            return None
        if await self._changes_before(asyncio.get_running_loop().time() + STEADY_AFTER):
            return None
        return await self.counters()

    def without_farewell(self, later: InboundCounters, earlier: InboundCounters) -> InboundCounters:
        """The last counters of a track without what LiveKit's server added itself."""
        return later.without_farewell(earlier) if self.gone and not self.resting else later

    async def due_or_changed(self, due: float) -> bool:
        """Wait until a reading is due (False) or something changed (True).

        Meanwhile look at the counters where a sender report has just come: only together do they say on which
        leg packets were lost. And look whether sound comes.
        """
        clock = asyncio.get_running_loop().time
        while (moment := self._next_look(clock(), due)) < due:
            if await self._changes_before(moment):
                return True
            await self.counters()
        return await self._changes_before(due)

    def _next_look(self, now: float, due: float) -> float:
        moment = self._reports.next_look(now, due) or due
        if self.track.kind != rtc.TrackKind.KIND_AUDIO:
            return moment
        silent = self._latest is not None and self._latest.hole_is_open
        return min(moment, now + (HOLE_LOOKS if silent else SOUND_LOOKS))

    async def _changes_before(self, moment: float) -> bool:
        with suppress(TimeoutError):
            async with asyncio.timeout_at(moment):
                await self.changed.wait()
        return self.changed.is_set()
