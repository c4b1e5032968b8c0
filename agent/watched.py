"""A subscribed track whose statistics are read."""

import asyncio
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


@dataclass(slots=True)
class Watched:
    """`changed` is set when the track was muted, unmuted or is gone.

    `delay`: how late sound is heard, in s, as of the last look; 0 before two of them.
    """

    track: rtc.Track
    publication: rtc.RemoteTrackPublication
    identity: str
    gone: bool = False
    resting: bool = False  # it is we who ended it, not the track
    resumed: bool = False  # after a rest: its counters go on
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    losses: LossByLeg = field(default_factory=LossByLeg)
    delay: float = 0.0
    _latest: InboundCounters | None = None
    _reports: SenderReports = field(default_factory=SenderReports)

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
        if counters := await counters_of(self.track):
            if self._latest and (delay := one_way_delay(self._latest, counters)) is not None:
                self.delay = delay
            self._latest = counters
            self.losses.note(counters)
            self._reports.note(counters, asyncio.get_running_loop().time())
        return counters

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
        leg packets were lost.
        """
        clock = asyncio.get_running_loop().time
        while (moment := self._reports.next_look(clock(), due)) is not None:
            if await self._changes_before(moment):
                return True
            await self.counters()
        return await self._changes_before(due)

    async def _changes_before(self, moment: float) -> bool:
        with suppress(TimeoutError):
            async with asyncio.timeout_at(moment):
                await self.changed.wait()
        return self.changed.is_set()
