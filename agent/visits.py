"""Stays that LiveKit tells of elsewhere than on our connection.

That shows who publishes nothing up to 3 s late, and who is gone by then not at all. LiveKit's own list is
asked when somebody unseen sends something, and while somebody is there whom we do not see; what its webhooks
told any worker is in the database.
"""

import asyncio
from contextlib import suppress
from datetime import datetime
from uuid import UUID

import structlog
from livekit import api
from livekit.agents import JobContext

from agent.clock import now
from agent.livekit_rooms import visit_of
from agent.presence import Presence
from agent.recorder import Recorder
from agent.session.errors import what_failed
from db.pool import Pool
from db.visits import visits_of

log = structlog.stdlib.get_logger()

ASK_SECONDS = 1.0  # between two questions to LiveKit
READ_SECONDS = 3.0  # between two looks at what its webhooks told
ANSWER_SECONDS = 2.0


class Visits:
    """Follows one room's."""

    def __init__(
        self, ctx: JobContext, recorder: Recorder, presence: Presence, pool: Pool, namespace: UUID
    ) -> None:
        self._ctx = ctx
        self._recorder = recorder
        self._presence = presence
        self._pool = pool
        self._namespace = namespace
        self._ask = asyncio.Event()
        self._claimed = False  # whose stays a recorder before us saw is known
        self._missed: dict[str, datetime] = {}  # since when LiveKit does not list whom we do not see
        self._complained = False
        recorder.when_claimed(lambda _until: self._note_claimed())

    def somebody_unseen(self) -> None:
        """Someone who is not visible sent something: find out who is there."""
        self._ask.set()

    async def keep(self) -> None:
        """Look, every second or three, and at once when somebody unseen is at work; until cancelled."""
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(ASK_SECONDS if self._presence.stays.unseen else READ_SECONDS):
                    await self._ask.wait()
            try:
                if self._ask.is_set() or self._presence.stays.unseen:
                    self._ask.clear()
                    await self._look()
                await self.take_in()
            except Exception as error:
                log.error("visits_failed", **what_failed(error))
            await asyncio.sleep(ASK_SECONDS)

    async def take_in(self) -> None:
        """What LiveKit's webhooks told of the room since."""
        if not self._ready:
            return
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                room_sid, unseen = self._recorder.session.info.room_sid, list(self._presence.stays.unseen)
                told = await visits_of(self._pool, room_sid, list(self._presence.stays.known), unseen)
        except Exception as error:
            self._complain("database", error)
            return
        self._complained = False
        for visit in told:
            self._presence.visited(visit)

    async def _look(self) -> None:
        """Who LiveKit itself says is there. Whom we do not see and it twice does not list has left."""
        if not self._ready:
            return
        request = api.ListParticipantsRequest(room=self._ctx.job.room.name)
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                listed = (await self._ctx.api.room.list_participants(request)).participants
        except Exception as error:
            self._complain("livekit", error)
            return
        student = self._recorder.session.info.user_id
        there = [
            visit_of(who, self._namespace, student=student) for who in listed if who.sid and who.joined_at
        ]
        visits = {visit.participant_sid: visit for visit in there if visit is not None}
        for visit in visits.values():
            self._presence.visited(visit)
        missed = self._presence.stays.unseen - visits.keys()
        for sid in missed & self._missed.keys():
            self._presence.gone(sid, self._missed[sid])
        self._missed = {sid: now() for sid in missed}

    @property
    def _ready(self) -> bool:
        """Before the session is ours we may not know whom a recorder before us saw go."""
        return self._claimed or self._recorder.session.start_time is None

    def _note_claimed(self) -> None:
        self._claimed = True

    def _complain(self, of: str, error: Exception) -> None:
        """Once, until it works again: the next look asks anew."""
        if not self._complained:
            log.warning("visits_unknown", asked=of, **what_failed(error))
        self._complained = True
