"""Is everything there that a recorder needs? One check a service, each with what to do about it."""

from collections.abc import Awaitable, Callable, Sequence

import aiohttp
import asyncpg
import numpy as np
from livekit import api
from livekit.protocol.models import Room
from rich.console import Console
from rich.markup import escape

from agent.livekit_rooms import OTHER_WORKER, livekit_api, who_is_in
from agent.printable import printable
from agent.recognition import Recogniser
from agent.session.errors import SettingsIncomplete, TranscriptionUnavailable, what_failed
from agent.settings import Settings
from agent.utterances import RATE
from db.pool import CONNECT_TIMEOUT

MOST_ROOMS = 20  # looked into
Check = Callable[[Settings], Awaitable[str]]


class Unwell(Exception):
    """A service is not as it should be; the text says what to do."""


async def examine(settings: Settings, console: Console) -> int:
    """Check everything, print what was found, and return the exit code: 0 when all is well."""
    checks: list[tuple[str, Check]] = [
        ("settings", _settings),
        ("LiveKit", _livekit),
        ("database", _database),
        ("Whisper", _whisper),
    ]
    well = True
    for name, check in checks:
        try:
            found = await check(settings)
            console.print(f"[green]ok[/green]    {name}: {escape(printable(found))}", highlight=False)
        except Unwell as trouble:
            well = False
            console.print(f"[red]wrong[/red] {name}: {escape(printable(str(trouble)))}", highlight=False)
    return 0 if well else 1


async def _settings(settings: Settings) -> str:
    try:
        settings.require_complete()
    except SettingsIncomplete as error:
        raise Unwell(f"{error}; `start` needs them, `dev` starts local services instead") from None
    return "complete"


async def _livekit(settings: Settings) -> str:
    if not settings.livekit_url:
        raise Unwell("LIVEKIT_URL is not set")
    try:
        async with livekit_api(settings) as livekit:
            rooms = (await livekit.room.list_rooms(api.ListRoomsRequest())).rooms
            if settings.recorder_dispatch == "automatic":
                await _require_alone(livekit, settings, rooms)
    except api.TwirpError as error:
        raise Unwell(f"refused ({error.code}): check LIVEKIT_API_KEY and LIVEKIT_API_SECRET") from None
    except (aiohttp.ClientError, TimeoutError, ValueError) as error:
        raise Unwell(f"no answer ({type(error).__name__}): check LIVEKIT_URL and that it runs") from None
    ours = sum(room.name.startswith(settings.recorder_room_prefix) for room in rooms)
    return f"answers; {len(rooms)} rooms, {ours} of them with prefix {settings.recorder_room_prefix!r}"


async def _require_alone(livekit: api.LiveKitAPI, settings: Settings, rooms: Sequence[Room]) -> None:
    """LiveKit tells nobody what workers it has; a room that went to one of them and not to us shows it."""
    for room in [room for room in rooms if room.name.startswith(settings.recorder_room_prefix)][:MOST_ROOMS]:
        there = await who_is_in(livekit, room.name)
        if there.agents and not there.witnessed:
            raise Unwell(f"a room has an agent and no recorder: {OTHER_WORKER}")


async def _database(settings: Settings) -> str:
    dsn = settings.database_url.get_secret_value()
    if not dsn:
        raise Unwell("DATABASE_URL is not set")
    try:
        connection = await asyncpg.connect(dsn, timeout=CONNECT_TIMEOUT)
    except (asyncpg.InvalidAuthorizationSpecificationError, asyncpg.InvalidCatalogNameError) as error:
        raise Unwell(f"refused ({error.sqlstate}): check user, password and database name") from None
    except Exception as error:
        what = what_failed(error)["error"]
        raise Unwell(f"no connection ({what}): check DATABASE_URL and that the server runs") from None
    try:
        if await connection.fetchval("select to_regclass('session_events')") is None:
            raise Unwell("has no tables yet: run `python -m agent migrate`")
        count = await connection.fetchval("select count(*) from sessions")
    finally:
        await connection.close()
    return f"connected; {count} sessions"


async def _whisper(settings: Settings) -> str:
    if not settings.openai_base_url and not settings.openai_api_key.get_secret_value():
        raise Unwell("neither OPENAI_API_KEY nor OPENAI_BASE_URL is set")
    recogniser = Recogniser(settings, persistence=0)
    try:
        await recogniser.words(np.zeros(RATE, np.int16))
    except TranscriptionUnavailable as error:
        raise Unwell(f"{error}: check OPENAI_BASE_URL, OPENAI_API_KEY, RECORDER_WHISPER_MODEL") from None
    finally:
        await recogniser.aclose()
    return f"model {settings.recorder_whisper_model} transcribes"
