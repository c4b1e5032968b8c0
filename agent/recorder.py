"""Events -> fold and journal. Saving, with retry; the spool when that fails.

`record` is called from the room's handlers and never waits. Everything else happens in `keep`, which writes
what is new within a second and goes on trying for as long as the room lives.
"""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from math import inf
from pathlib import Path

import stamina
import structlog

from agent.allowance import Allowance
from agent.backlog import Backlog
from agent.clock import now
from agent.holding import Holding
from agent.pace import Pace
from agent.predecessor import Predecessor, recorded_until
from agent.session.doubles import without_doubles
from agent.session.errors import BoundToAnother, LeaseLost, SessionNotSaved, what_failed
from agent.session.events import Event, GapNoted, ParticipantJoined
from agent.session.fold import Session, fold
from agent.session.rooms import SessionInfo
from agent.session.summary import summary
from agent.spool import Spool
from db import sessions
from db.lease import LEASE_SECONDS, Lease
from db.pool import Pool, is_transient

log = structlog.stdlib.get_logger()

FLUSH_SECONDS = 0.05  # events are gathered for so long before they are journaled
LOOK_SECONDS = 0.4  # between looks at what waits while it cannot be
SLOW_SECONDS = 0.2  # a write that takes longer may hang: what waits for it goes to the disk
AWAY_SECONDS = 1.0  # between attempts while the database is away
REJECTED_SECONDS = 30.0  # between attempts when it refuses what we write: only somebody's repair can help
TAKEN_OVER = "recorder_taken_over"
SAVE_ATTEMPTS = 4  # at once, then after 1, 2 and 4 s


class Recorder:
    """Keeps one session's record: in memory, in the journal, and finished."""

    def __init__(
        self, info: SessionInfo, pool: Pool, spool_dir: Path, *, allowance: Allowance | None = None
    ) -> None:
        self.session = Session(info)
        self.began_at = now()  # since when we see what happens in the room
        self.taken_over_at: datetime | None = None  # what was said before it, another may have told
        self._pool = pool
        self._holding = Holding(pool)
        self.owner, self.superseded = self._holding.owner, self._holding.superseded
        self._backlog = Backlog(Spool(spool_dir, info, self.owner, allowance=allowance))
        self._next_seq = 0
        self._version = 0
        self._saved_version = 0
        self._secured_version = 0  # up to here everything is in the journal, or in the spool
        self._row_is_final = False  # the session's row tells of an end
        self._whose_version = 1  # of what we know of whose session it is, and of what the row tells of it
        self._whose_written = 0
        self._predecessor = Predecessor()
        self._predecessor.when_known(self._note_the_gap)
        self.when_claimed = self._predecessor.when_known
        self._row_pace = Pace()
        self._away = False
        self._something_new = asyncio.Event()
        self._saved = asyncio.Condition()
        self._writing = asyncio.Lock()
        self._writing_row = asyncio.Lock()  # an older one never after a newer one

    def record(self, event: Event) -> None:
        """Take in what happened."""
        if self.session.apply(event):
            self._backlog.add(event)
            self._whose_version += isinstance(event, ParticipantJoined)
            self._version += 1
            self._something_new.set()

    def moved(self, room_sid: str) -> None:
        """LiveKit's server was restarted: the session goes on in a room with a new sid."""
        self.session.info = replace(self.session.info, room_sid=room_sid)
        self._something_new.set()

    def told_of_room(self, told: SessionInfo) -> None:
        """The room's metadata changed; which session it is, they settled when it began."""
        self.session.info = self.session.info.updated(told)
        self._whose_version += 1
        self._version += 1
        self._something_new.set()

    async def keep(self) -> None:
        """Journal what is new, renew the lease, save what has ended; until cancelled.

        What is new is journaled at once. The whole row is written again at a bounded rate, however much
        still comes of a session that has ended.
        """
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(min(LEASE_SECONDS / 3, self._row_due_in())):
                    await self._something_new.wait()
            row_now = self._row_due_in() <= 0
            if not row_now:
                await asyncio.sleep(FLUSH_SECONDS)
            self._something_new.clear()
            if (pause := await self._write_or_spool(with_row=row_now)) is not None:
                self._something_new.set()
                await self._pause(pause)

    @property
    def _row_is_old(self) -> bool:
        """There is more to tell of a session that has ended, or whose row says so."""
        ended = self.session.ending is not None
        return self._saved_version != self._version and (ended or self._row_is_final)

    def _row_due_in(self) -> float:
        """Seconds until the row may be written again; infinite while it need not be."""
        return self._row_pace.seconds_to_wait if self._row_is_old else inf

    async def save(self) -> None:
        """Write the session as it stands, trying again after 1, 2 and 4 s.

        Raises SessionNotSaved when the database would not take it; it is on disk then, and `keep` goes on
        trying.
        """
        version = self._version
        try:
            async for attempt in stamina.retry_context(
                on=lambda error: is_transient(error) or isinstance(error, BoundToAnother),
                attempts=SAVE_ATTEMPTS,
                timeout=None,
                wait_initial=1,
                wait_max=4,
                wait_jitter=0,
            ):
                with attempt:
                    if attempt.num > 1:
                        log.warning("save_retried", attempt=attempt.num, after_seconds=2 ** (attempt.num - 2))
                    if self._saved_version < version:
                        await self._attempt(with_row=True)
        except Exception as error:
            log.error("session_not_saved", **what_failed(error), spooled=await self._secure())
            raise SessionNotSaved from None

    async def saved(self) -> None:
        """Wait until everything recorded so far is in the database."""
        version = self._version
        async with self._saved:
            await self._saved.wait_for(lambda: self._saved_version >= version)

    async def secured(self) -> None:
        """Wait until everything recorded so far is in the database or on disk."""
        version = self._version
        async with self._saved:
            await self._saved.wait_for(lambda: self._secured_version >= version)

    async def close(self) -> None:
        """Save for the last time and let go of the session."""
        if self.session.start_time is None:
            return
        await self._await_our_turn()
        self._predecessor.know(None)
        if self.superseded.is_set():
            await self._leave_to_the_other()
            return
        with suppress(SessionNotSaved):
            await self.save()
        await self._holding.let_go(goes_on=bool(self.session.present))
        # Also what came while we let go: whoever replays the spool adds it.
        if self._backlog and not await self._secure():
            log.error("events_lost", events=len(self._backlog))  # neither database nor disk takes them
        self._backlog.abandon()
        log.info("session_finished", **summary(self.session), in_database=not self._backlog)

    async def _await_our_turn(self) -> None:
        """The other recorder of our room ends with it as well, or its lease runs out."""
        with suppress(TimeoutError):
            async with asyncio.timeout(2 * LEASE_SECONDS):
                while self._holding.lease is None and not self.superseded.is_set():
                    try:
                        await self._write()
                    except (LeaseLost, BoundToAnother):
                        await asyncio.sleep(LOOK_SECONDS)
                    except Exception:  # `save` tells, and tries again
                        return

    async def _leave_to_the_other(self) -> None:
        """Drop what the other recorder has too; what is from before its time goes to the spool."""
        history = await sessions.load_history(self._pool, self.session.info.session_id)
        took_over = [e.until for e in history.journaled if isinstance(e, GapNoted) and e.reason == TAKEN_OVER]
        self._backlog.keep_before(max(took_over, default=None))
        if self._backlog:
            log.info("events_left_to_replay", events=len(self._backlog))
            await self._backlog.secure()
        self._backlog.abandon()

    async def _write_or_spool(self, *, with_row: bool) -> float | None:
        """One attempt; None when it succeeded, else the seconds after which another makes sense."""
        try:
            await self._attempt(with_row=with_row)
        except LeaseLost:
            self._holding.lost()
            return AWAY_SECONDS
        except BoundToAnother:
            return LOOK_SECONDS
        except Exception as error:
            passing = is_transient(error)
            if not self._away:
                log.warning("database_away" if passing else "write_rejected", **what_failed(error))
            self._away = True
            return AWAY_SECONDS if passing else REJECTED_SECONDS
        if self._away:
            log.info("database_back")
        self._away = False
        return None

    async def _pause(self, seconds: float) -> None:
        """Until the next attempt; while the database is away, what comes is brought to the disk."""
        for _ in range(round(seconds / LOOK_SECONDS)):
            await asyncio.sleep(LOOK_SECONDS)
            if self._away:
                await self._secure()

    async def _attempt(self, *, with_row: bool) -> None:
        """Write; what waits while that takes long, or fails, is brought to the disk.

        A database that hangs is noticed after ten seconds: nobody who kills us until then takes them along.
        """
        writing = asyncio.create_task(self._write_all() if with_row else self._write())
        try:
            while not (await asyncio.wait({writing}, timeout=SLOW_SECONDS))[0]:
                await self._secure()
        finally:
            writing.cancel()
            with suppress(asyncio.CancelledError, Exception):
                await writing
        if (error := writing.exception()) is not None:
            if not isinstance(error, LeaseLost | BoundToAnother):
                await self._secure()
            raise error

    async def _secure(self) -> bool:
        """Bring what is not in the database to the disk; whether that worked."""
        version = self._version
        if on_disk := await self._backlog.secure():
            async with self._saved:
                self._secured_version = max(self._secured_version, version)
                self._saved.notify_all()
        return on_disk

    async def _write_all(self) -> None:
        """One attempt: everything unwritten and, when the session has ended, its row as it stands now."""
        if self._holding.lease is None:
            await self._write()  # what another recorder has journaled belongs into the row, too
        async with self._writing_row:
            if not self._row_is_old:
                await self._write()
                return
            version, ended = self._version, self.session.ending is not None
            with self._row_pace.doing():
                whole = await sessions.gathered(self.session, [], finished=True)
                await self._write(whole)
        if ended:
            log.info("session_saved", events=version)
        async with self._saved:
            self._saved_version = version if ended else 0
            self._row_is_final = ended
            self._saved.notify_all()

    async def _write(self, whole: sessions.Changes | None = None) -> None:
        """One attempt: everything unwritten into the journal, then the `whole` session where it is told.

        Raises LeaseLost where the session is another's, or was while the whole of it was put together, and
        BoundToAnother where the room is: the next attempt is for that one.
        """
        async with self._writing:
            if self.session.start_time is None:
                return
            ours_already = self._holding.lease is not None
            if whole is not None and not ours_already:
                raise LeaseLost
            try:
                turn = self._holding.turn(self.session.info, self.session.start_time)
                async with turn as (connection, lease):
                    before = 0 if ours_already else await self._take_over(lease)
                    # Not before there is a connection: what comes while it is waited for is written, too.
                    batch, version = self._backlog.all(), self._version
                    whose = self._whose_version
                    new_whose = whose != self._whose_written
                    changes = sessions.changes(self.session, batch, finished=False, whose=new_whose)
                    room_sid, mode = self.session.info.room_sid, None
                    for what in [changes] if whole is None else [changes, whole]:
                        told = await sessions.write(
                            connection, what, self._next_seq, lease=lease, room_sid=room_sid
                        )
                        mode = told or mode
            except BoundToAnother as other:  # of which the database could not tell us when we began
                log.warning("room_belongs_to_another_session", session_id_now=str(other.session_id))
                self.session.info = replace(self.session.info, session_id=other.session_id)
                raise
            self._whose_written = whose
            if mode is not None:
                self.session.info = replace(self.session.info, mode=mode)
            if not ours_already:
                log.info("session_claimed", epoch=lease.epoch, events_before=before)
            self._next_seq += len(batch)
            await self._backlog.written(len(batch))
        async with self._saved:
            self._secured_version = max(self._secured_version, version)
            self._saved.notify_all()

    async def _take_over(self, claimed: Lease) -> int:
        """Go on with what an earlier recorder has journaled of the session; how many events that are."""
        self.taken_over_at = now() if claimed.epoch > 1 else None
        history = await sessions.load_history(self._pool, claimed.session_id)
        self._next_seq = history.next_seq
        self._go_on_from(history.journaled)
        for event in history.restored:
            self.record(event)
        self._row_is_final = claimed.epoch > 1
        self._whose_version += 1
        self._predecessor.know(recorded_until(claimed, history.journaled, self.began_at))
        return len(history.journaled)

    def _go_on_from(self, journaled: Sequence[Event]) -> None:
        """Take in what is known; what we have told as well while another recorded is told once."""
        untold = without_doubles(self._backlog.all(), journaled)
        self._backlog.keep_only(untold)
        self.session = fold(self.session.info, [*journaled, *untold])
        self._version += len(journaled)

    def _note_the_gap(self, until: datetime | None) -> None:
        """Nobody recorded from then until we began."""
        if until is not None and until < self.began_at:
            log.warning("session_taken_over", missed_seconds=(self.began_at - until).total_seconds())
            self.record(GapNoted(at=until, until=self.began_at, what="everything", reason=TAKEN_OVER))
