"""LiveKit's own news of its rooms: a reason to look for one without a recorder now, not in a few seconds."""

import asyncio
from collections.abc import Callable

import structlog
from aiohttp import web
from google.protobuf.json_format import ParseError
from livekit import api

from agent.metrics import Metrics
from agent.settings import Settings

log = structlog.stdlib.get_logger()

PATH = "/livekit/webhook"
NEWS = frozenset({"room_started", "participant_joined", "participant_left", "room_finished"})
READ_SECONDS = 10.0


class Webhook:
    """Answers LiveKit. What it does not sign is refused with one log line and changes nothing.

    A message that somebody repeats does no harm: all that it brings about is a look.
    """

    def __init__(self, settings: Settings, look_now: Callable[[], None], metrics: Metrics) -> None:
        secret = settings.livekit_api_secret.get_secret_value()
        self._receiver = api.WebhookReceiver(api.TokenVerifier(settings.livekit_api_key, secret))
        self._prefix = settings.recorder_room_prefix
        self._look_now = look_now
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
            self._outcomes.labels("news").inc()
            self._look_now()
        else:
            self._outcomes.labels("other").inc()
        return web.Response()

    def _refused(self, status: int, why: str) -> web.Response:
        log.warning("webhook_refused", status=status, why=why)
        self._outcomes.labels("refused").inc()
        return web.Response(status=status)
