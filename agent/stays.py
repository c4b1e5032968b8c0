"""Who is in a room, stay by stay; when the last person leaves, it is empty, whatever agents stay."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime

import structlog

from agent.clock import now
from agent.recorder import Recorder
from agent.session.events import ParticipantJoined, ParticipantLeft, SessionEnded
from agent.session.fold import ROOM_CLOSED, ROOM_EMPTY

log = structlog.stdlib.get_logger()


class Stays:
    """One room's, by participant_sid. `on_empty` is called when nobody is left who holds a session."""

    def __init__(self, recorder: Recorder, on_empty: Callable[[], None]) -> None:
        self.unseen: set[str] = set()  # those whom our connection does not show yet
        self._recorder = recorder
        self._on_empty = on_empty
        self._present: dict[str, ParticipantJoined] = {}  # what was last told of each
        self._known: set[str] = set()  # also who has left

    def __contains__(self, participant_sid: str) -> bool:
        return participant_sid in self._present

    def __iter__(self) -> Iterator[str]:
        return iter(list(self._present))

    def __len__(self) -> int:
        return len(self._present)

    @property
    def known(self) -> set[str]:
        """Every stay that is noted, by us or a recorder before us."""
        return self._known | {stay.joined.participant_sid for stay in self._recorder.session.stays}

    def tell(self, join: ParticipantJoined, *, unseen: bool = False) -> bool:
        """Somebody is there, or something of them has changed: whether that is new."""
        sid = join.participant_sid
        self._known.add(sid)
        if unseen:
            self.unseen.add(sid)
        if self._present.get(sid) == join:
            return False
        if sid not in self._present:
            log.info("participant_joined", identity=join.identity, role=join.role, unseen=unseen)
        self._present[sid] = join
        self._recorder.record(replace(join, observed=now()))
        return True

    def left(self, participant_sid: str, at: datetime) -> None:
        """Somebody is there no more; nobody leaves before they came."""
        join = self._present.pop(participant_sid)
        self.unseen.discard(participant_sid)
        at = max(at, join.at)
        self._note_leave(join, at)
        log.info("participant_left", identity=join.identity)
        if self._nobody_holds_it(join):
            self._recorder.record(SessionEnded(at=at, reason=ROOM_EMPTY))
            self._on_empty()

    def left_meanwhile(self, at: datetime) -> None:
        """Whom a recorder before us saw come, and nobody saw leave, were gone when we came."""
        gone = [s.joined for s in self._recorder.session.present if s.joined.participant_sid not in self]
        for join in gone:
            self._note_leave(join, max(at, join.at))
        if any(self._nobody_holds_it(join) for join in gone):
            self._recorder.record(SessionEnded(at=at, reason=ROOM_EMPTY))

    def closed(self, at: datetime) -> None:
        """The room is closed over the heads of all who are there."""
        if not self._present:
            return
        ends = self._people() or self._never_a_person()
        for join in self._present.values():
            self._note_leave(join, at)
        self._present.clear()
        self.unseen.clear()
        if ends:
            self._recorder.record(SessionEnded(at=at, reason=ROOM_CLOSED))

    def _note_leave(self, join: ParticipantJoined, at: datetime) -> None:
        sid = join.participant_sid
        self._recorder.record(ParticipantLeft(at=at, identity=join.identity, participant_sid=sid))

    def _nobody_holds_it(self, after: ParticipantJoined) -> bool:
        """The last person has left; or, where nobody but agents ever came, the last agent."""
        if self._people():
            return False
        return after.kind != "agent" or (not self._present and self._never_a_person())

    def _people(self) -> bool:
        return any(join.kind != "agent" for join in self._present.values())

    def _never_a_person(self) -> bool:
        return all(stay.joined.kind == "agent" for stay in self._recorder.session.stays)
