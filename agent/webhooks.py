"""LiveKit's own news of its rooms: a reason to look for one without a recorder now, not in a few seconds.

Who came and went is kept for the room's recorder, wherever that is: it may not have seen who was there for a
moment.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import structlog
from aiohttp import web
from google.protobuf.json_format import ParseError
from livekit import api

from agent.clock import now
from agent.livekit_rooms import visit_of
from agent.metrics import Metrics
from agent.session.errors import what_failed
from agent.settings import Settings
from db.visits import Visit

log = structlog.stdlib.get_logger()

PATH = "/livekit/webhook"
NEWS = frozenset({"room_started", "participant_joined", "participant_left", "room_finished"})
VISITS = frozenset({"participant_joined", "participant_left"})
READ_SECONDS = 10.0
WRITE_SECONDS = 5.0


class Webhook:
    """Answers LiveKit. What it does not sign is refused with one log line and changes nothing.

    A message that somebody repeats does no harm: all that it brings about is a look, and the same stay again.
    `note_visit` keeps a stay in a room with this sid.
    """

    def __init__(
        self,
        settings: Settings,
        look_now: Callable[[], None],
        metrics: Metrics,
        note_visit: Callable[[str, Visit], Awaitable[None]],
    ) -> None:
        secret = settings.livekit_api_secret.get_secret_value()
        self._receiver = api.WebhookReceiver(api.TokenVerifier(settings.livekit_api_key, secret))
        self._prefix = settings.recorder_room_prefix
        self._namespace = settings.web_user_id_namespace
        self._look_now = look_now
        self._note_visit = note_visit
        self._outcomes = metrics.webhooks

    @property
    def route(self) -> web.RouteDef:
        return web.post(PATH, self._receive)

    async def _receive(self, request: web.Request) -> web.Response:
        try:
            async with asyncio.timeout(READ_SECONDS):
                body = await request.read()
        except web.HTTPRequestEntityTooLarge:
            return self._refused(413, "oversized")
        except TimeoutError:
            return self._refused(408, "too slow")
        try:
            event = self._receiver.receive(body.decode(), request.headers.get("Authorization", ""))
        except ParseError:
            return self._refused(400, "signed, but not an event")
        except Exception as error:  # whatever is wrong with a token has a type of its own
            return self._refused(401, type(error).__name__)
        if event.event in NEWS and event.room.name.startswith(self._prefix):
            return await self._news(event)
        self._outcomes.labels("other").inc()
        return web.Response()

    async def _news(self, event: api.WebhookEvent) -> web.Response:
        told = event.participant
        if event.event in VISITS and not (event.room.sid and told.sid and told.identity and told.joined_at):
            return self._refused(400, "signed, but names nobody")
        self._outcomes.labels("news").inc()
        self._look_now()
        visit = visit_of(told, self._namespace) if event.event in VISITS else None
        if visit is None:
            return web.Response()
        left_at = _left_at(event) if event.event == "participant_left" else None
        try:
            async with asyncio.timeout(WRITE_SECONDS):
                await self._note_visit(event.room.sid, replace(visit, left_at=left_at))
        except Exception as error:
            log.warning("visit_not_noted", **what_failed(error))
            return web.Response(status=503)  # LiveKit tells it again
        return web.Response()

    def _refused(self, status: int, why: str) -> web.Response:
        log.warning("webhook_refused", status=status, why=why)
        self._outcomes.labels("refused").inc()
        return web.Response(status=status)


def _left_at(event: api.WebhookEvent) -> datetime:
    """LiveKit tells the second; within that, when it reached us."""
    second = datetime.fromtimestamp(event.created_at, UTC)
    return max(second, min(now(), second + timedelta(seconds=0.999)))
