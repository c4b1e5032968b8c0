"""Rooms without a recorder get one; sessions without a room get an end.

LiveKit offers a room once, at its creation, and never again: a room that began while no worker ran, whose
worker hung, or whose recorder was killed would go unrecorded. Every worker compares LiveKit's rooms with the
leases in the database every few seconds; an advisory lock lets one act at a time. A recorder is started here,
in a process of our own with an admission of our own: asking LiveKit to dispatch again could end at the same
hung worker again.
"""

import asyncio
import math
from collections.abc import Collection, Iterable
from contextlib import suppress
from datetime import UTC, datetime
from time import monotonic
from typing import Any
from uuid import UUID

import structlog
from livekit import api
from livekit.protocol.models import Room

from agent.abandoned import complete_abandoned
from agent.cleanup import tidy
from agent.duty import Duty
from agent.launcher import Launcher
from agent.livekit_rooms import OTHER_WORKER, Occupancy, coaching_rooms, livekit_api, who_is_in
from agent.metrics import Metrics
from agent.session.census import (
    ATTEMPTS,
    FRESH,
    Held,
    LiveRoom,
    abandoned,
    given_up,
    needs_a_look,
    next_look,
    without_recorder,
)
from agent.session.errors import what_failed
from agent.session.rooms import session_info
from agent.settings import Settings
from db import fleet
from db.binding import sessions_of_rooms
from db.pool import Pool

log = structlog.stdlib.get_logger()

AFTER_TROUBLE_SECONDS = 3.0
BURST_SECONDS = 0.1  # news come in bursts: one look for all of them
OTHER_ACTS_SECONDS = 0.5  # another worker is looking just now, maybe from before our news
TIDY_SECONDS = 60.0  # between looks for sessions that nobody ends
TIDIED_AT_ONCE = 10  # rooms without a recorder must not wait for that


class Reconciler:
    """One worker's part in it."""

    def __init__(
        self,
        launcher: Launcher,
        pool: Pool,
        settings: Settings,
        worker: str,
        duty: Duty,
        metrics: Metrics,
    ) -> None:
        self._launcher = launcher
        self._pool = pool
        self._settings = settings
        self._worker = worker
        self._duty = duty
        self._metrics = metrics
        self._now = asyncio.Event()
        self._trouble: str | None = None
        self._reconciled: float | None = None
        self._tidied: float | None = None
        self._waiting_told: set[str] = set()  # sids of rooms that no worker has room for
        self._occupied_since: dict[str, float] = {}  # by room sid, as far as we have seen
        self._began = datetime.now(UTC)
        self._other_worker_told = False

    def jobs_gone(self, room_sids: Iterable[str]) -> None:
        """Jobs of ours in these rooms are gone; look at once whether somebody is still there."""
        self._launcher.gone(room_sids)
        self.look_now()

    def look_now(self) -> None:
        """Something has changed; do not wait for the next look."""
        self._now.set()

    def report(self) -> dict[str, Any]:
        """Seconds since this worker last compared (one does at a time), and what kept it from it."""
        ago = None if self._reconciled is None else monotonic() - self._reconciled
        return {"reconciled_ago": ago, "trouble": self._trouble}

    async def keep_reconciling(self) -> None:
        """Compare at once and then every few seconds, until cancelled."""
        async with livekit_api(self._settings) as livekit:
            while True:
                self._now.clear()
                soon = await self._attempt(livekit)
                pause = min(soon, self._settings.recorder_reconcile_interval)
                with suppress(TimeoutError):
                    async with asyncio.timeout(max(pause, BURST_SECONDS)):
                        await self._now.wait()
                        await asyncio.sleep(BURST_SECONDS)

    async def _attempt(self, livekit: api.LiveKitAPI) -> float:
        """One round, and the seconds until the next is worth it.

        What goes wrong is said once, until something else goes wrong or all is well again.
        """
        if not self._duty.takes_rooms:
            return math.inf
        soon = OTHER_ACTS_SECONDS
        try:
            async with fleet.alone(self._pool) as acting:
                if acting and self._trouble is not None:
                    # Recorders that could not renew their leases either do so first.
                    await asyncio.sleep(AFTER_TROUBLE_SECONDS)
                if acting:
                    soon = await self.reconcile(livekit)
        except Exception as error:
            self._metrics.reconcile_failures.inc()
            failed = what_failed(error)
            if self._trouble != failed["error"]:
                log.warning("reconciling_failed", **failed)
            self._trouble = failed["error"]
            return math.inf
        self._trouble = None
        return soon

    async def reconcile(self, livekit: api.LiveKitAPI) -> float:
        """Start what is missing, complete what was abandoned; the seconds until more may be missing."""
        rooms = await coaching_rooms(livekit, self._settings.recorder_room_prefix)
        held = {
            session.session_id: session for session in await fleet.held_sessions(self._pool, self._worker)
        }
        started = await fleet.started(self._pool)
        ours = self._launcher.on_their_way()
        looked_at = await self._occupied(livekit, (r for r in rooms if r.sid not in ours), held)
        lacking = without_recorder(looked_at, held, started)
        for room in given_up(lacking, started):
            log.error("room_without_recorder", room=room.room_name, room_sid=room.room_sid, attempts=ATTEMPTS)
            self._metrics.rooms_given_up.inc()
        waiting: list[LiveRoom] = []
        for room in lacking:
            if self._launcher.takes_another():
                await self._record(room, next(r for r in rooms if r.sid == room.room_sid), held)
            else:
                waiting.append(room)
        self._note_waiting(waiting)
        for session in abandoned((room.sid for room in rooms), held.values(), after=2 * FRESH):
            if await complete_abandoned(self._pool, session.session_id):
                self._metrics.sessions_completed_abandoned.inc()
        self._metrics.reconciled.set_to_current_time()
        self._reconciled = monotonic()
        await self._tidy(livekit)
        return next_look(looked_at, held, started)

    def _note_waiting(self, rooms: Collection[LiveRoom]) -> None:
        """Each room once for which every worker is full: nobody else would say that it goes unrecorded."""
        if self._duty.others_ready:
            return
        for room in rooms:
            if room.room_sid not in self._waiting_told:
                log.error(
                    "workers_full",
                    room=room.room_name,
                    room_sid=room.room_sid,
                    setting="RECORDER_MAX_ROOMS",
                )
        self._waiting_told = {room.room_sid for room in rooms}
        self._metrics.rooms_waiting.set(len(rooms))

    async def _tidy(self, livekit: api.LiveKitAPI) -> None:
        """Now and then: what no recorder ends, as none ever had it."""
        pace = min(TIDY_SECONDS, self._settings.recorder_unused_after)
        if self._tidied is not None and monotonic() < self._tidied + pace:
            return
        self._tidied = monotonic()
        rooms = await coaching_rooms(livekit, "")
        completed, removed = await tidy(self._pool, self._settings, rooms, most=TIDIED_AT_ONCE)
        if completed or removed:
            log.info("cleaned_up", completed=completed, removed=removed, live_rooms=len(rooms))

    async def _occupied(
        self, livekit: api.LiveKitAPI, rooms: Iterable[Room], held: dict[UUID, Held]
    ) -> list[LiveRoom]:
        """Who is there, asked only of rooms whose session no living recorder holds."""
        found, rooms = [], list(rooms)
        bound = await sessions_of_rooms(self._pool, [room.sid for room in rooms])
        for room in rooms:
            info, _ = session_info(room.name, room.sid, room.metadata, self._settings.recorder_room_prefix)
            session_id = bound.get(room.sid, info.session_id)
            if needs_a_look(room.sid, session_id, held):
                there = await who_is_in(livekit, room.name)
                waiting = self._waiting(room.sid, there)
                if there.agents and not there.witnessed:
                    self._tell_of_other_worker(room)
                found.append(LiveRoom(session_id, room.name, room.sid, waiting, there.witnessed))
        occupied = {room.room_sid for room in found if room.waiting is not None}
        self._occupied_since = {sid: at for sid, at in self._occupied_since.items() if sid in occupied}
        return found

    def _tell_of_other_worker(self, room: Room) -> None:
        """Of a room that LiveKit sent to somebody else's agent and not to us, though we were there; once."""
        ours = self._settings.recorder_dispatch == "automatic"
        if ours and not self._other_worker_told and room.creation_time > self._began.timestamp():
            self._other_worker_told = True
            log.warning("another_worker_answers", room=room.name, advice=OTHER_WORKER)

    def _waiting(self, room_sid: str, there: Occupancy) -> float | None:
        """Seconds that somebody there waits: by LiveKit's clock, or, should ours be behind, as we saw it."""
        if there.since is None:
            return None
        seen = monotonic() - self._occupied_since.setdefault(room_sid, monotonic())
        return max((datetime.now(UTC) - there.since).total_seconds(), seen)

    async def _record(self, lacking: LiveRoom, room: Room, held: dict[UUID, Held]) -> None:
        """Start a recorder for the room here, after taking the session from whoever held it and is dead."""
        if (attempt := await fleet.note_start(self._pool, room.sid, self._worker)) is None:
            return
        if lacking.session_id in held:
            await fleet.revoke(self._pool, lacking.session_id)
        log.info("recorder_started_for_room", room=room.name, room_sid=room.sid, attempt=attempt)
        self._launcher.start(room, by="reconciler")
