"""Who recorded a session before us, and until when: what everybody's first notes depend on."""

from collections.abc import Callable, Sequence
from datetime import datetime

from agent.clock import now
from agent.session.events import Event, evidence, milliseconds
from db.lease import Lease

Tell = Callable[[datetime | None], None]


class Predecessor:
    """Known once the session is ours, or never to be: until then those who ask wait."""

    def __init__(self) -> None:
        self._known = False
        self._until: datetime | None = None
        self._waiting: list[Tell] = []

    def when_known(self, tell: Tell) -> None:
        """Tell, once that is known, until when another recorded this session; None: none did."""
        if self._known:
            tell(self._until)
        else:
            self._waiting.append(tell)

    def know(self, until: datetime | None) -> None:
        """That is the answer, if there was none yet."""
        if self._known:
            return
        self._known, self._until = True, until
        for tell in self._waiting:
            tell(until)
        self._waiting.clear()


def recorded_until(claimed: Lease, journaled: Sequence[Event], began_at: datetime) -> datetime | None:
    """Until when a recorder that never let the session go was last known to record it; None: there was none.

    Never later than `began_at`, when we began. One that let it go as we waited for our turn in the same room
    had recorded since before we came.
    """
    if not journaled:
        return None
    last_told = max(map(evidence, journaled))
    if claimed.predecessor_ago is None:
        return began_at if claimed.same_room and last_told >= began_at else None
    return min(max(milliseconds(now() - claimed.predecessor_ago), last_told), began_at)
