"""How a worker goes off duty: it leaves new rooms to others, as long as there are others to take them."""

import asyncio
from collections.abc import Callable, Mapping, Sequence

import structlog
from livekit.agents import AgentServer

from db.fleet import Other

log = structlog.stdlib.get_logger()

LOOK_SECONDS = 0.5
DRAIN_SECONDS = 3600.0


class Duty:
    """Whether this worker takes rooms.

    LiveKit offers a room once. A worker that refuses while no other is there loses it, so one that was told
    to stop goes on taking rooms until another worker is ready for them.
    """

    def __init__(self) -> None:
        self.draining = False
        self.others_ready = False  # another worker takes rooms, as of our last sign of life
        self.others_starting: Mapping[str, float] = {}  # those that start recorders themselves: rooms free

    @property
    def takes_rooms(self) -> bool:
        return not (self.draining and self.others_ready)

    def note_others(self, others: Sequence[Other] | None) -> None:
        """Which other workers are ready for rooms; None: nobody knows just now."""
        ready = bool(others)
        if others is not None:
            self.others_starting = {other.worker: other.free for other in others if other.starts}
        if self.draining and ready and not self.others_ready:
            log.info("rooms_left_to_others")
        self.others_ready = ready

    async def drain(self, server: AgentServer, starting: Callable[[], bool]) -> None:
        """Wait, for an hour at most, until the sessions of this worker have ended.

        `starting`: whether a recorder is being started just now.
        """
        self.draining = True
        log.info("draining", sessions=len(server.active_jobs), others_ready=self.others_ready)
        try:
            async with asyncio.timeout(DRAIN_SECONDS):
                while server.active_jobs or starting():  # noqa: ASYNC110  (the framework tells nobody)
                    await asyncio.sleep(LOOK_SECONDS)
                await server.drain()  # from here on it refuses, and awaits what it has accepted
        except TimeoutError:
            log.warning("drained_incompletely", sessions=len(server.active_jobs))
