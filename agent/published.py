"""When tracks were published that were there before us: a client is not told, LiveKit's API knows."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

import structlog
from livekit import api, rtc
from livekit.agents import JobContext

from agent.clock import now
from agent.session.errors import what_failed

log = structlog.stdlib.get_logger()

ANSWER_SECONDS = 2.0


@dataclass(frozen=True)
class Published:
    """What was published when we asked. `asked_at` is None when there was no answer."""

    asked_at: datetime | None = None
    by_track_sid: Mapping[str, datetime] = field(default_factory=dict)

    def since(self, publication: rtc.TrackPublication, who: rtc.Participant) -> datetime | None:
        """When it was published; of what was not there yet when we asked, the earliest that is possible."""
        if (known := self.by_track_sid.get(publication.sid)) or self.asked_at is None:
            return known or who.joined_at
        return max(who.joined_at or self.asked_at, self.asked_at)


async def published(ctx: JobContext) -> Published:
    """Ask LiveKit; nothing waits for longer than 2 s, and without an answer the join counts."""
    asked_at = now()
    try:
        async with asyncio.timeout(ANSWER_SECONDS):
            request = api.ListParticipantsRequest(room=ctx.job.room.name)
            listed = await ctx.api.room.list_participants(request)
    except Exception as error:
        log.warning("publishing_times_unknown", **what_failed(error))
        return Published()
    return Published(
        asked_at,
        {
            track.sid: datetime.fromtimestamp(track.version.unix_micro / 1e6, UTC)
            for who in listed.participants
            for track in who.tracks
            if track.version.unix_micro
        },
    )
