"""A subscribed track whose statistics are read."""

import asyncio
from contextlib import suppress
from dataclasses import dataclass, field

from livekit import rtc

from agent.session.counters import InboundCounters
from agent.session.legs import LossByLeg
from agent.track_stats import SenderReports, counters_of

FIRST_PACKET_SECONDS = 0.1  # between looks for a subscription's first packet


@dataclass(slots=True)
class Watched:
    """`changed` is set when the track was muted, unmuted or is gone."""

    track: rtc.Track
    publication: rtc.RemoteTrackPublication
    identity: str
    gone: bool = False
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    losses: LossByLeg = field(default_factory=LossByLeg)
    _reports: SenderReports = field(default_factory=SenderReports)

    def end(self) -> None:
        """Take the last reading."""
        self.gone = True
        self.changed.set()

    async def counters(self) -> InboundCounters | None:
        """As they are now; None before the first packet."""
        if counters := await counters_of(self.track):
            self.losses.note(counters)
            self._reports.note(counters, asyncio.get_running_loop().time())
        return counters

    async def first_counters(self) -> InboundCounters | None:
        """As the subscription begins; None when it ended or was muted before a packet came."""
        while not self.gone and not self.publication.muted:
            if counters := await self.counters():
                return counters
            await asyncio.sleep(FIRST_PACKET_SECONDS)
        return None

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
