"""What is added to a session that nobody records just now: by a replay, or because its room is gone."""

from collections.abc import Callable, Sequence
from datetime import datetime

from agent.clock import now
from agent.session.doubles import without_doubles
from agent.session.events import Event
from agent.session.fold import Session, fold
from agent.session.rooms import SessionInfo
from db import sessions
from db.lease import one_turn
from db.pool import Pool

# The last event of a session whose recorder was last known to live at this time.
Conclusion = Callable[[Session, datetime | None], Event | None]


async def add_to_session(
    pool: Pool,
    info: SessionInfo,
    start_time: datetime,
    events: Sequence[Event] = (),
    *,
    owner: str = "",
    conclude: Conclusion = lambda _session, _recorded_until: None,
) -> tuple[Session, int]:
    """The session with these events, written as it now stands, and how many of them are new to it.

    `owner` is the dead recorder that left them. Raises `LeaseLost` while another one holds the session.
    """
    async with one_turn(pool, info, start_time, owner) as turn:
        history = await sessions.load_history(pool, info.session_id)
        known = set(history.journaled)
        untold = without_doubles(events, history.journaled)
        new = [event for event in [*history.restored, *untold] if event not in known]
        session = fold(info, [*history.journaled, *new])
        ago = turn.predecessor_ago
        ending = conclude(session, now() - ago if ago is not None else None)
        if ending is not None and session.apply(ending):
            new.append(ending)
        changes = await sessions.gathered(session, new, finished=True)
        await sessions.write(turn.connection, changes, history.next_seq)
    return session, len(new)
