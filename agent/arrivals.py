"""New rooms get their recorder from us, and not from LiveKit's dispatch (`RECORDER_DISPATCH=own`).

Every worker sees every new coaching room; all of them agree, without asking each other, whose turn it is, by
what their last signs of life told. Should that one hang or be dead, the reconciler has the room 2 s later.
"""

import asyncio
from contextlib import suppress

import structlog
from livekit import api
from livekit.protocol.models import Room

from agent.duty import Duty
from agent.launcher import Launcher
from agent.livekit_rooms import coaching_rooms, livekit_api
from agent.session.census import turn_of
from agent.session.errors import what_failed
from agent.settings import Settings
from agent.tasks import Tasks
from db import fleet
from db.pool import Pool

log = structlog.stdlib.get_logger()

LOOK_SECONDS = 0.25  # between looks where no webhook tells of new rooms
AWAY_SECONDS = 1.0  # the same while LiveKit does not answer
NOTE_SECONDS = 1.0  # for the database to let us; a room does not wait for one that is away


class Arrivals:
    """One worker's watch for rooms that are new."""

    def __init__(self, launcher: Launcher, pool: Pool, settings: Settings, worker: str, duty: Duty) -> None:
        self._launcher = launcher
        self._pool = pool
        self._settings = settings
        self._worker = worker
        self._duty = duty
        self._known: set[str] = set()  # sids of the rooms that were there at the last look
        self._news = asyncio.Event()
        self._webhooks = False  # they come, and sooner than we would look
        self._starts = Tasks()

    def look_now(self) -> None:
        """LiveKit told of a room."""
        self._news.set()

    async def keep_looking(self) -> None:
        """Look at once, when LiveKit tells of a room, and every moment where it does not; until cancelled."""
        away = False
        try:
            async with livekit_api(self._settings) as livekit:
                while True:
                    told = self._news.is_set()
                    self._news.clear()
                    try:
                        found = await self._look(livekit)
                    except Exception as error:
                        if not away:
                            log.warning("looking_for_rooms_failed", **what_failed(error))
                        away = True
                    else:
                        away = False
                        self._webhooks = told or (self._webhooks and not found)
                    await self._pause(away)
        finally:
            await self._starts.close(grace=0)

    async def _pause(self, away: bool) -> None:
        usual = self._settings.recorder_reconcile_interval if self._webhooks else LOOK_SECONDS
        with suppress(TimeoutError):
            async with asyncio.timeout(AWAY_SECONDS if away else usual):
                await self._news.wait()

    async def _look(self, livekit: api.LiveKitAPI) -> bool:
        """Whether there are new rooms; those whose turn is ours get a recorder."""
        rooms = await coaching_rooms(livekit, self._settings.recorder_room_prefix)
        new = [room for room in rooms if room.sid not in self._known]
        self._known = {room.sid for room in rooms}
        for room in new:
            if self._is_ours(room.sid):
                self._starts.start(self._record(room))
        return bool(new)

    def _is_ours(self, room_sid: str) -> bool:
        free = dict(self._duty.others_starting)
        if self._duty.takes_rooms and self._launcher.takes_another():
            free[self._worker] = self._launcher.free()
        return turn_of(room_sid, free) == self._worker

    async def _record(self, room: Room) -> None:
        try:
            async with asyncio.timeout(NOTE_SECONDS):
                first, told = (
                    await fleet.note_first_start(self._pool, room.sid, room.name, self._worker),
                    True,
                )
        except Exception:  # with the database away it is recorded all the same; two recorders do no harm
            first, told = True, False
        if first:
            log.info("recorder_started_for_new_room", room=room.name, room_sid=room.sid)
            self._launcher.start(room, by="own", told=told)
