"""A session that nobody records any more, in a room that is gone: its journal tells how it ended."""

from datetime import datetime
from uuid import UUID

import structlog

from agent.session.errors import LeaseLost
from agent.session.events import Event, SessionEnded, milliseconds
from agent.session.fold import RECORDER_LOST, Session, fold
from agent.session.summary import summary
from agent.turns import add_to_session
from db import sessions
from db.pool import Pool

log = structlog.stdlib.get_logger()


async def complete_abandoned(pool: Pool, session_id: UUID) -> bool:
    """Complete it as its journal has it, with its end where the last evidence is; False when somebody has it.

    What waits in a spool is added when that is replayed: the fold does not mind the order.
    """
    record = await sessions.load_record(pool, session_id)
    if record is None:
        return False
    info = sessions.info_of(record)
    history = await sessions.load_history(pool, session_id)
    if fold(info, [*history.journaled, *history.restored]).start_time is None:
        if completed := await sessions.complete_untold(pool, session_id):
            log.info("abandoned_session_completed", session_id=str(session_id))
        return completed
    try:
        session, _ = await add_to_session(pool, info, record["start_time"], conclude=_lost)
    except LeaseLost:
        return False
    log.info("abandoned_session_completed", session_id=str(session_id), **summary(session))
    return True


def _lost(session: Session, recorder_until: datetime | None) -> Event | None:
    """The end of a session whose end nobody saw: with the last that is known; None when it was seen.

    A recorder that renewed its lease while somebody was there is evidence, too.
    """
    if session.ending is not None and not session.present:
        return None
    known = [moment for moment in (session.last_evidence, recorder_until) if moment is not None]
    return SessionEnded(at=milliseconds(max(known)), reason=RECORDER_LOST)
