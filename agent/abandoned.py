"""A session that nobody records any more, in a room that is gone: its journal tells how it ended."""

from datetime import datetime
from uuid import UUID

import structlog

from agent.session.events import Event, SessionEnded, milliseconds
from agent.session.fold import RECORDER_LOST, Session, fold
from agent.session.rooms import SessionInfo
from agent.session.summary import summary
from db import sessions
from db.lease import Holder, claim, leased, release
from db.pool import Pool

log = structlog.stdlib.get_logger()


async def complete_abandoned(pool: Pool, session_id: UUID, worker: str) -> bool:
    """Complete it as its journal has it, with its end where the last evidence is; False when somebody has it.

    What waits in a spool is added when that is replayed: the fold does not mind the order.
    """
    record = await sessions.load_record(pool, session_id)
    if record is None:
        return False
    info = SessionInfo(
        session_id,
        record["room_name"],
        record["room_sid"] or "",
        record["user_id"],
        record["counselor_category"],
        record["mode"],
    )
    lease = await claim(pool, info, record["start_time"], f"{worker}/completing")
    if isinstance(lease, Holder):
        return False
    history = await sessions.load_history(pool, session_id)
    new = [*history.restored]
    session = fold(info, [*history.journaled, *new])
    if session.start_time is None:
        await sessions.complete_untold(pool, session_id)
    else:
        if (ending := _lost(session, lease.predecessor_until)) and session.apply(ending):
            new.append(ending)
        async with leased(pool, lease) as connection:
            await sessions.write(connection, sessions.changes(session, new, finished=True), history.next_seq)
    await release(pool, lease)
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
