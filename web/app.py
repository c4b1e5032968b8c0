"""The web part, put together."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI
from pydantic import BaseModel
from starlette.types import ASGIApp

from agent.settings import Settings
from db.pool import open_pool
from web.api import admission, operations, overview, participants, sessions
from web.auth import SignInFirst, SignIns
from web.bodies import DESCRIBED, BodyLimit
from web.cross_origin import ForPlatforms
from web.failures import tell_failures
from web.guard import Guard
from web.pages import admin, history, room, signing_in
from web.pages.rendering import STATIC, STATIC_PATH, KeptFiles
from web.problems import ProblemDetails
from web.settings import WebSettings
from web.tokens import Keys

CONNECTIONS = 8
SAVES_AT_ONCE = 2  # a long one takes PostgreSQL some 0.3 s: who only reads finds a connection and a core
_ABOUT = """Coaching sessions, finished or going on: who was there, what was said, how good the call was.

Times are ISO 8601 with a zone; errors are problem details (RFC 9457) that name the field. You see your own
sessions; anybody else's are 404."""


def create_app(settings: WebSettings, recorder: Settings) -> FastAPI:
    """The API and the pages."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        app.state.pool = await open_pool(recorder.database_url.get_secret_value(), max_size=CONNECTIONS)
        try:
            yield
        finally:
            app.state.pool.terminate()

    app = FastAPI(
        title="Coaching sessions",
        version="1.0.0",
        description=_ABOUT,
        lifespan=lifespan,
        docs_url=None,  # it would fetch scripts from elsewhere
        redoc_url=None,
        openapi_url="/api/openapi.json",
    )
    app.state.settings, app.state.recorder = settings, recorder
    app.state.saving = asyncio.Semaphore(SAVES_AT_ONCE)
    app.state.keys = Keys(settings, recorder.web_user_id_namespace)
    app.state.sign_ins = SignIns()
    app.add_middleware(SignInFirst)
    tell_failures(app)
    for part in (sessions, admission, participants, operations, overview, history, room, admin, signing_in):
        app.include_router(part.router)
    app.mount(STATIC_PATH, KeptFiles(directory=STATIC))
    _describe_problems(app)
    return app


def create_asgi(settings: WebSettings, recorder: Settings) -> ASGIApp:
    """The same within its limits: what a server serves."""
    served: ASGIApp = BodyLimit(create_app(settings, recorder))
    if settings.allowed_origins:
        served = ForPlatforms(served, settings.allowed_origins)
    return Guard(served, hsts=settings.web_public_url.startswith("https://"))


def _describe_problems(app: FastAPI) -> None:
    described = app.openapi

    def openapi() -> dict[str, object]:
        if app.openapi_schema is None:
            schema = described()
            schemas = schema["components"]["schemas"]
            described_models: list[type[BaseModel]] = [*DESCRIBED, ProblemDetails]
            for model in described_models:
                own = model.model_json_schema(ref_template="#/components/schemas/{model}")
                schemas.update(own.pop("$defs", {}))
                schemas[model.__name__] = own
            for unused in ("HTTPValidationError", "ValidationError"):
                schemas.pop(unused, None)
        return app.openapi_schema or {}

    app.openapi = openapi  # type: ignore[method-assign]
