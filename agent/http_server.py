"""The worker's own HTTP, where RECORDER_HTTP_PORT opens it: what LiveKit tells us, and how we are."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import structlog
from aiohttp import web

from agent.session.errors import ServiceNotStarted
from agent.settings import Settings

log = structlog.stdlib.get_logger()

MOST_BYTES = 64 * 1024  # of a request's body
CLOSE_SECONDS = 1.0  # for answers under way when the worker ends, and the rest of a body that is refused


@asynccontextmanager
async def served(settings: Settings, routes: Sequence[web.RouteDef]) -> AsyncIterator[None]:
    """Serve for the length of the context, if there is a port to serve on."""
    if not settings.recorder_http_port:
        yield
        return
    app = web.Application(client_max_size=MOST_BYTES)
    app.add_routes(routes)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=CLOSE_SECONDS, lingering_time=CLOSE_SECONDS)
    await runner.setup()
    host, port = settings.recorder_http_host, settings.recorder_http_port
    try:
        await web.TCPSite(runner, host, port).start()
    except OSError:
        await runner.cleanup()
        raise ServiceNotStarted(
            f"cannot listen on {host}, port {port}: set RECORDER_HTTP_HOST and RECORDER_HTTP_PORT"
        ) from None
    log.info("http_served", host=host, port=port)
    try:
        yield
    finally:
        await runner.cleanup()
