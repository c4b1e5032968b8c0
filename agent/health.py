"""How a worker is: for an operator (`/health`) and for Prometheus (`/metrics`)."""

import asyncio
from dataclasses import dataclass
from hmac import compare_digest

from aiohttp import web
from livekit.agents import AgentServer
from prometheus_client import CONTENT_TYPE_LATEST

from agent.capacity import Capacity
from agent.duty import Duty
from agent.metrics import Metrics
from agent.settings import Settings
from agent.supervision import Supervision
from db.pool import Pool, answers

ANSWER_SECONDS = 2.0  # a database that needs longer is not well


@dataclass(frozen=True)
class Health:
    """Answers from what the worker itself can see."""

    settings: Settings
    server: AgentServer
    duty: Duty
    pool: Pool
    metrics: Metrics
    capacity: Capacity
    tasks: Supervision

    @property
    def routes(self) -> list[web.RouteDef]:
        return [web.get("/health", self._health), web.get("/metrics", self._metrics)]

    @property
    def _registered(self) -> bool:
        """Whether LiveKit can send us rooms now. The framework tells when it could, not when it cannot."""
        lost = self.server._connecting or self.server._connection_failed  # noqa: SLF001
        return self.server.id != "unregistered" and not lost

    async def _health(self, _request: web.Request) -> web.Response:
        """503 when a new room might not be recorded here. Sessions under way may be well all the same."""
        database = await answers(self.pool, within=ANSWER_SECONDS)
        wrong = {
            "the database does not answer": not database,
            "not registered with LiveKit": not self._registered,
            "draining, and leaves rooms to others": not self.duty.takes_rooms,
        }
        reasons = [reason for reason, applies in wrong.items() if applies]
        failing = self.tasks.failing().items()
        reasons += [f"{name} ends again and again ({error})" for name, error in failing]
        found = {
            "status": "unwell" if reasons else "ok",
            "reasons": reasons,
            "database": database,
            "livekit": self._registered,
            "draining": self.duty.draining,
            "rooms": len(self.server.active_jobs),
            "max_rooms": self.capacity.rooms,
        }
        return web.json_response(found, status=503 if reasons else 200)

    async def _metrics(self, request: web.Request) -> web.Response:
        token = self.settings.recorder_metrics_token.get_secret_value()
        if token and not compare_digest(
            request.headers.get("Authorization", "").encode(), f"Bearer {token}".encode()
        ):
            return web.Response(status=401, headers={"WWW-Authenticate": "Bearer"})
        metrics = self.metrics
        metrics.rooms.set(len(self.server.active_jobs))
        metrics.rooms_limit.set(self.capacity.rooms)
        metrics.draining.set(self.duty.draining)
        metrics.registered.set(self._registered)
        await asyncio.to_thread(metrics.look_at_disk, self.settings.recorder_spool_dir)
        return web.Response(body=metrics.text(), headers={"Content-Type": CONTENT_TYPE_LATEST})
