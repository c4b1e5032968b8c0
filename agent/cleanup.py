"""Sessions that have been in progress for too long, in rooms that LiveKit no longer has, are completed."""

import asyncio

import structlog

from agent.abandoned import complete_abandoned
from agent.livekit_rooms import coaching_rooms, livekit_api
from agent.session.errors import what_failed
from agent.settings import Settings
from db import fleet
from db.pool import open_pool

log = structlog.stdlib.get_logger()


async def clean_up(settings: Settings) -> int:
    """One round; how many sessions were completed. A session whose room lives is left alone however long."""
    pool = await open_pool(settings.database_url.get_secret_value())
    try:
        async with livekit_api(settings) as livekit:
            rooms = await coaching_rooms(livekit, "")
        names, sids = {room.name for room in rooms}, {room.sid for room in rooms}
        completed = 0
        for stale in await fleet.stale_sessions(pool, settings.recorder_stale_after):
            if stale.room_sid not in sids and stale.room_name not in names:
                completed += await complete_abandoned(pool, stale.session_id)
        log.info("cleaned_up", completed=completed, live_rooms=len(rooms))
        return completed
    finally:
        await pool.close()


async def keep_cleaning_up(settings: Settings, every: float) -> None:
    """A round now and every so many seconds; one that fails is told and does not end it."""
    while True:
        try:
            await clean_up(settings)
        except Exception as error:
            log.error("cleanup_failed", **what_failed(error))
        await asyncio.sleep(every)
