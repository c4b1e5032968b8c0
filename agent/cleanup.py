"""Sessions whose room is gone: too long in progress, they are completed; never entered, they are removed."""

import asyncio
from collections.abc import Sequence
from math import inf

import structlog
from livekit.protocol.models import Room

from agent.abandoned import complete_abandoned
from agent.livekit_rooms import coaching_rooms, livekit_api
from agent.session.errors import what_failed
from agent.settings import Settings
from db import fleet
from db.pool import Pool, open_pool

log = structlog.stdlib.get_logger()


async def clean_up(settings: Settings) -> int:
    """One round; how many sessions were completed. A session whose room lives is left alone however long."""
    pool = await open_pool(settings.database_url.get_secret_value())
    try:
        async with livekit_api(settings) as livekit:
            rooms = await coaching_rooms(livekit, "")
        completed, removed = await tidy(pool, settings, rooms)
        log.info("cleaned_up", completed=completed, removed=removed, live_rooms=len(rooms))
        return completed
    finally:
        await pool.close()


async def tidy(
    pool: Pool, settings: Settings, rooms: Sequence[Room], *, most: float = inf
) -> tuple[int, int]:
    """How many sessions were completed (at `most` so many), and removed; `rooms`: all that LiveKit has."""
    names, sids = {room.name for room in rooms}, {room.sid for room in rooms}
    removed = await fleet.remove_unused(pool, settings.recorder_unused_after, names)
    completed = 0
    for stale in await fleet.stale_sessions(pool, settings.recorder_stale_after):
        if completed < most and stale.room_sid not in sids and stale.room_name not in names:
            completed += await complete_abandoned(pool, stale.session_id)
    return completed, removed


async def keep_cleaning_up(settings: Settings, every: float) -> None:
    """A round now and every so many seconds; one that fails is told and does not end it."""
    while True:
        try:
            await clean_up(settings)
        except Exception as error:
            log.error("cleanup_failed", **what_failed(error))
        await asyncio.sleep(every)
