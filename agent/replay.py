"""What a recorder left in the spool goes to the database when it is back, without anyone's help."""

import asyncio
from contextlib import suppress
from pathlib import Path

import structlog

from agent.session.errors import LeaseLost, what_failed
from agent.session.fold import fold
from agent.session.summary import summary
from agent.spool import abandoned, read, written_at
from agent.turns import add_to_session
from db import sessions
from db.binding import bound
from db.pool import Pool, is_transient

log = structlog.stdlib.get_logger()

INTERVAL_SECONDS = 3.0


async def keep_replaying(pool: Pool, folder: Path) -> None:
    """Replay whatever no living recorder holds, oldest first, now and every few seconds; until cancelled."""
    while True:
        await replay(pool, folder)
        await asyncio.sleep(INTERVAL_SECONDS)


async def replay(pool: Pool, folder: Path) -> None:
    """One round. A file goes once its events are in the database; what fails waits for the next round."""
    if not folder.is_dir():
        return
    with abandoned(folder) as paths:
        for path in sorted(paths, key=written_at):
            try:
                await _replay_one(pool, path)
            except LeaseLost:
                log.debug("replay_waits", file=path.name)
            except Exception as error:
                if is_transient(error):
                    return  # the database is still away
                log.error("replay_failed", file=path.name, **what_failed(error))
                with suppress(FileNotFoundError):
                    path.rename(path.with_suffix(".rejected"))


async def _replay_one(pool: Pool, path: Path) -> None:
    """Add what the session's journal lacks, for the recorder that spooled it and is dead."""
    spooled = read(path)
    info = await bound(pool, spooled.info)  # whoever wrote it may not have had the database to ask
    session_id = info.session_id
    history = await sessions.load_history(pool, session_id)
    known_before = [*history.journaled, *history.restored]
    start_time = fold(info, [*known_before, *spooled.events]).start_time
    if start_time is None and spooled.events:
        raise ValueError("events of a session that nobody is known to have joined")
    if start_time is not None:
        session, added = await add_to_session(pool, info, start_time, spooled.events, owner=spooled.owner)
        log.info("spool_replayed", session_id=str(session_id), events=added, **summary(session))
    path.unlink(missing_ok=True)
