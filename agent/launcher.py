"""Recorders that this worker starts by itself, in a process of its own with an admission of its own."""

import asyncio
from collections.abc import Iterable
from time import monotonic
from uuid import uuid4

from livekit.agents import AgentServer
from livekit.protocol.models import Room

from agent.capacity import Capacity
from agent.duty import Duty
from agent.livekit_rooms import admission
from agent.metrics import Metrics
from agent.settings import Settings
from agent.tasks import Tasks
from db import fleet
from db.pool import Pool

PATIENCE_SECONDS = 30.0  # for a job of our own to claim its session, on a busy machine


class Launcher:
    """Knows which rooms a recorder of this worker is on its way to, whoever sent it.

    `begun`: when a room was accepted from LiveKit, or a recorder started for it, by room sid.
    """

    def __init__(
        self,
        server: AgentServer,
        settings: Settings,
        begun: dict[str, float],
        duty: Duty,
        capacity: Capacity,
        metrics: Metrics,
    ) -> None:
        self._server = server
        self._settings = settings
        self._begun = begun
        self._duty = duty
        self._capacity = capacity
        self._started = metrics.recorders_started
        self._told: set[str] = set()  # those of `begun` that other workers know of
        self._launches = Tasks()

    def start(self, room: Room, *, by: str, told: bool = True) -> None:
        """Start one; `by`: who asked, `told`: whether the other workers know.

        Not waited for while others wait for us to act: a busy machine takes long to start a process.
        """
        self._started.labels(by).inc()
        self._begun[room.sid] = monotonic()
        if told:
            self._told.add(room.sid)
        self._launches.start(self._launch(room))

    def starting(self) -> bool:
        """Whether a recorder is being started just now."""
        return bool(self._launches)

    def on_their_way(self) -> set[str]:
        """Sids of rooms whose job of ours has just begun: it may not have got round to claim its session."""
        recent = monotonic() - PATIENCE_SECONDS
        for room_sid in [sid for sid, begun in self._begun.items() if begun < recent]:
            del self._begun[room_sid]
        return set(self._begun)

    def gone(self, room_sids: Iterable[str]) -> None:
        """Jobs of ours in these rooms are gone."""
        for room_sid in room_sids:
            self._begun.pop(room_sid, None)

    def takes_another(self) -> bool:
        """Whether there is room for one more."""
        return self._capacity.takes(self._rooms, others_ready=self._duty.others_ready)

    def free(self) -> int:
        """Rooms until this worker is full."""
        return max(self._capacity.rooms - self._rooms, 0)

    async def tell_others(self, pool: Pool, worker: str) -> None:
        """Let other workers know of the rooms that LiveKit has sent us: our jobs may take long to begin."""
        for room_sid in set(self._begun) - self._told:
            await fleet.note_start(pool, room_sid, worker)
            self._told.add(room_sid)
        self._told &= set(self._begun)

    async def close(self) -> None:
        """Start no more."""
        await self._launches.close(grace=0)

    @property
    def _rooms(self) -> int:
        return len(self._server.active_jobs) + len(self._launches)

    async def _launch(self, room: Room) -> None:
        identity = f"recorder-{uuid4().hex[:12]}"
        token = admission(self._settings, room.name, identity)
        async with asyncio.timeout(PATIENCE_SECONDS):
            await self._server.simulate_job(room.name, room_info=room, agent_identity=identity, token=token)
