"""The schema, the journal and the lease, in a real PostgreSQL."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import asyncpg
import pytest
from structlog.testing import capture_logs

from agent.abandoned import complete_abandoned
from agent.backlog import Backlog
from agent.recorder import Recorder
from agent.replay import replay
from agent.session.census import TAKES
from agent.session.errors import LeaseLost
from agent.session.events import (
    Event,
    GapNoted,
    ParticipantJoined,
    ParticipantLeft,
    SessionEnded,
    UtteranceHeard,
)
from agent.session.fold import Session, fold
from agent.session.rooms import SessionInfo
from agent.spool import Spool, read
from agent.turns import add_to_session
from bench.stack import until
from db import fleet, sessions
from db.lease import LEASE_SECONDS, Holder, Lease, claim, release
from db.pool import Pool, migrate, open_pool

T0 = datetime(2026, 3, 1, 10, 0, tzinfo=UTC)
TABLES = {
    "sessions",
    "video_participants",
    "quality_readings",
    "session_events",
    "workers",
    "recorder_starts",
    "room_sessions",
    "room_visits",
    "session_viewers",
    "access_log",
    "signed_out",
}


def info() -> SessionInfo:
    return SessionInfo(uuid4(), "coaching-x", "RM_x")


def joined(sid: str = "PA_1", after: float = 0) -> ParticipantJoined:
    at = T0 + timedelta(seconds=after)
    return ParticipantJoined(at=at, identity="student", participant_sid=sid, name="Sam", role="student")


def left(after: float, sid: str = "PA_1") -> ParticipantLeft:
    return ParticipantLeft(at=T0 + timedelta(seconds=after), identity="student", participant_sid=sid)


def heard(text: str, after: float) -> UtteranceHeard:
    at = T0 + timedelta(seconds=after)
    return UtteranceHeard(
        at=at, end=at + timedelta(seconds=1), identity="student", text=text, source="whisper"
    )


def ended(after: float) -> SessionEnded:
    return SessionEnded(at=T0 + timedelta(seconds=after), reason="room_empty")


async def claimed(pool: Pool, session: SessionInfo, owner: str) -> Lease:
    lease = await claim(pool, session, T0, owner)
    assert isinstance(lease, Lease)
    return lease


def spooled(folder: Path) -> list[str]:
    """The words on disk."""
    events = [event for path in folder.glob("*.jsonl") for event in read(path).events]
    return [event.text for event in events if isinstance(event, UtteranceHeard)]


async def expire(pool: Pool) -> None:
    await pool.execute("update sessions set lease_expires_at = now() - interval '1 second'")


async def test_the_schema_can_be_applied_again_also_by_two_at_once(dsn: str, pool: Pool) -> None:
    await asyncio.gather(*(migrate(dsn) for _ in range(4)))
    rows = await pool.fetch("select tablename from pg_tables where schemaname = 'public'")
    assert {row["tablename"] for row in rows} == TABLES


async def test_a_row_is_valid_with_its_first_columns_alone(pool: Pool) -> None:
    await pool.execute(
        "insert into sessions (session_id, room_name, mode, status, start_time) "
        "values (gen_random_uuid(), 'r', 'voice', 'in_progress', now())"
    )
    with pytest.raises(asyncpg.CheckViolationError):
        await pool.execute("update sessions set mode = 'telegraph'")


async def test_a_held_session_is_not_given_to_a_second_recorder(pool: Pool) -> None:
    session = info()
    first = await claimed(pool, session, "first")
    holder = await claim(pool, session, T0, "second")
    assert isinstance(holder, Holder)
    assert (holder.owner, holder.room_sid) == ("first", "RM_x")
    assert 0 <= holder.renewed_ago < LEASE_SECONDS
    await expire(pool)
    second = await claimed(pool, session, "second")
    assert second.epoch == first.epoch + 1


async def test_a_write_of_an_earlier_epoch_is_refused_and_changes_nothing(pool: Pool) -> None:
    session = info()
    paused = await claimed(pool, session, "paused")
    await expire(pool)
    await claimed(pool, session, "successor")
    events: list[Event] = [joined()]
    with pytest.raises(LeaseLost):
        async with pool.acquire() as connection:
            await sessions.write(
                connection, sessions.changes(fold(session, events), events, finished=True), 0, lease=paused
            )
    assert await sessions.load_events(pool, session.session_id) == ([], 0)


async def test_writing_the_same_events_again_changes_nothing(pool: Pool) -> None:
    session = info()
    events: list[Event] = [joined(), heard("hello", 1), left(5)]
    lease = await claimed(pool, session, "one")
    folded = fold(session, events)
    for _ in range(2):
        async with pool.acquire() as connection:
            await sessions.write(connection, sessions.changes(folded, events, finished=True), 0, lease=lease)
    assert await sessions.load_events(pool, session.session_id) == (events, 3)
    record = await sessions.load_record(pool, session.session_id)
    assert record is not None
    assert len(record["participants"]) == 1
    assert [entry["text"] for entry in record["transcript"]] == ["hello"]


async def test_a_recorder_goes_on_where_its_predecessor_stopped(pool: Pool, tmp_path: Path) -> None:
    session = info()
    first = Recorder(session, pool, tmp_path)
    first.record(joined())
    first.record(heard("before", 1))
    await first.save()
    await expire(pool)
    second = Recorder(session, pool, tmp_path)
    second.record(joined())  # it sees the same stay
    second.record(heard("after", 20))
    second.record(GapNoted(at=T0, until=T0, what="everything", reason="taken_over"))
    second.record(left(30))
    second.record(ended(30))
    await second.close()
    record = await sessions.load_record(pool, session.session_id)
    assert record is not None
    assert [entry["text"] for entry in record["transcript"]] == ["before", "after"]
    assert len(record["participants"]) == 1
    assert (record["status"], record["duration_seconds"]) == ("completed", 30)
    assert record["gaps"][0]["reason"] == "taken_over"


async def test_a_session_that_returns_after_its_journal_was_purged_loses_nothing(
    pool: Pool, tmp_path: Path
) -> None:
    session = info()
    yesterday = Recorder(session, pool, tmp_path)
    for event in (joined(), heard("yesterday", 1), left(9), ended(9)):
        yesterday.record(event)
    await yesterday.close()
    await pool.execute("update sessions set updated_at = now() - interval '25 hours'")
    await sessions.purge_journal(pool)
    assert await sessions.load_events(pool, session.session_id) == ([], 0)
    for sid, text, after in (("PA_2", "today", 100), ("PA_3", "again today", 200)):
        today = Recorder(session, pool, tmp_path)
        today.record(joined(sid, after))
        await today.save()
        in_progress = await sessions.load_record(pool, session.session_id)
        assert in_progress is not None
        assert in_progress["status"] == "in_progress"
        for event in (heard(text, after + 1), left(after + 2, sid), ended(after + 2)):
            today.record(event)
        await today.close()
    record = await sessions.load_record(pool, session.session_id)
    assert record is not None
    assert [entry["text"] for entry in record["transcript"]] == ["yesterday", "today", "again today"]
    assert len(record["participants"]) == 3
    assert (record["status"], record["duration_seconds"]) == ("completed", 202)


async def test_what_happens_while_a_session_is_let_go_is_not_lost(
    pool: Pool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = info()
    recorder = Recorder(session, pool, tmp_path)
    recorder.record(joined())
    let_go = release

    async def let_go_as_the_room_is_closed(pool: Pool, lease: Lease, *, goes_on: bool) -> None:
        await let_go(pool, lease, goes_on=goes_on)
        recorder.record(left(9))
        recorder.record(ended(9))

    monkeypatch.setattr("agent.holding.release", let_go_as_the_room_is_closed)
    await recorder.close()
    await replay(pool, tmp_path)
    record = await sessions.load_record(pool, session.session_id)
    assert record is not None
    assert (record["status"], record["end_reason"], record["duration_seconds"]) == (
        "completed",
        "room_empty",
        9,
    )


async def test_a_session_that_is_held_is_not_completed_though_nothing_is_told_of_it(pool: Pool) -> None:
    session = info()
    await claimed(pool, session, "alive+1")
    assert not await complete_abandoned(pool, session.session_id)
    await expire(pool)
    assert await complete_abandoned(pool, session.session_id)


async def test_who_dies_before_the_first_write_was_never_there(pool: Pool, tmp_path: Path) -> None:
    session = info()
    first = Recorder(session, pool, tmp_path)
    first.record(joined())
    await first.save()
    await expire(pool)
    before = await pool.fetch("select * from sessions")
    refusing = "alter table video_participants add constraint nobody_new check (participant_sid = 'PA_1')"
    await pool.execute(refusing)
    second = Recorder(session, pool, tmp_path)
    second.record(joined("PA_2", 5))
    await second.close()
    assert await pool.fetch("select * from sessions") == before
    assert len(list(tmp_path.glob("*.jsonl"))) == 1


async def test_a_recorder_that_dies_as_it_writes_is_not_said_to_have_told_what_came_after(
    pool: Pool, tmp_path: Path
) -> None:
    recorder = Recorder(info(), pool, tmp_path)
    recorder.record(joined())
    await recorder.save()
    async with pool.acquire() as connection, connection.transaction():
        await connection.execute("lock table session_events in access exclusive mode")
        recorder.record(heard("before", 1))
        writing = asyncio.create_task(recorder.save())
        waiting = "select count(*) from pg_stat_activity where wait_event_type = 'Lock'"
        await until(lambda: pool.fetchval(waiting))
        after = await pool.fetchval("select clock_timestamp()")
    await writing
    assert await pool.fetchval("select count(*) from session_events") == 2
    renewed = await pool.fetchval(
        "select lease_expires_at - make_interval(secs => $1) from sessions", LEASE_SECONDS
    )
    assert renewed < after


async def test_what_is_told_while_the_database_hangs_is_on_disk_before_it_is_noticed(
    pool: Pool, tmp_path: Path
) -> None:
    session = info()
    recorder = Recorder(session, pool, tmp_path)
    recorder.record(joined())
    await recorder.save()
    keeping = asyncio.create_task(recorder.keep())
    async with pool.acquire() as connection, connection.transaction():
        await connection.execute("lock table session_events in access exclusive mode")
        recorder.record(heard("first", 1))
        await until(lambda: spooled(tmp_path) == ["first"])
        recorder.record(heard("second", 3))
        await until(lambda: spooled(tmp_path) == ["first", "second"])
        # Still the first attempt: it ends after ten seconds, and the next begins a second later.
        waiting = "select count(*) from pg_stat_activity where wait_event_type = 'Lock'"
        assert await pool.fetchval(waiting) == 1
    await until(lambda: not list(tmp_path.glob("*.jsonl")))
    keeping.cancel()
    journaled, _ = await sessions.load_events(pool, session.session_id)
    assert [e.text for e in journaled if isinstance(e, UtteranceHeard)] == ["first", "second"]


async def test_what_is_told_between_two_attempts_is_on_disk_at_once(
    pool: Pool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agent.recorder.AWAY_SECONDS", 3600.0)  # the second never comes
    recorder = Recorder(info(), pool, tmp_path)
    recorder.record(joined())
    pool.terminate()
    keeping = asyncio.create_task(recorder.keep())
    await until(lambda: list(tmp_path.glob("*.jsonl")))
    recorder.record(heard("meanwhile", 1))
    await until(lambda: spooled(tmp_path) == ["meanwhile"])
    keeping.cancel()
    await asyncio.wait({keeping})
    await recorder.close()


async def test_who_waits_for_a_dead_recorders_lease_does_not_leave(
    pool: Pool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agent.holding.LEASE_SECONDS", 0.5)  # soon enough to have waited for long
    session = info()
    await claimed(pool, session, "holder")
    waiting = Recorder(session, pool, tmp_path)
    waiting.record(joined())
    await pool.execute(
        "update sessions set lease_expires_at = now() + interval '5 seconds'"
    )  # of 10: it is dead
    keeping = asyncio.create_task(waiting.keep())
    await until(lambda: pool.fetchval("select lease_owner <> 'holder' from sessions"))
    assert not waiting.superseded.is_set()
    keeping.cancel()
    await asyncio.wait({keeping})


async def test_a_spool_that_holds_later_events_too_stays_until_these_are_written(tmp_path: Path) -> None:
    backlog = Backlog(Spool(tmp_path, info(), "owner"))
    for text in ("first", "second"):
        backlog.add(heard(text, 1))
    await backlog.secure()
    await backlog.written(1)
    assert spooled(tmp_path) == ["first", "second"]
    backlog.add(heard("third", 3))
    await backlog.secure()
    assert spooled(tmp_path) == ["first", "second", "third"]
    await backlog.written(2)
    assert spooled(tmp_path) == []


async def test_a_replay_while_a_session_goes_on_keeps_until_when_it_was_recorded(
    pool: Pool, tmp_path: Path
) -> None:
    session = info()
    dead = Recorder(session, pool, tmp_path)
    dead.record(joined())
    await dead.save()
    await expire(pool)
    renewed = "select lease_expires_at, room_sid from sessions"
    before = await pool.fetchrow(renewed)
    spool = Spool(tmp_path, replace(session, room_sid="RM_earlier"), dead.owner)
    spool.append([heard("spooled", 3)])
    spool.close()
    await replay(pool, tmp_path)
    assert await pool.fetchrow(renewed) == before
    successor = Recorder(session, pool, tmp_path)
    successor.record(joined())
    await successor.save()
    assert [gap["reason"] for gap in successor.session.gaps()] == ["recorder_taken_over"]
    assert [entry["text"] for entry in successor.session.transcript()] == ["spooled"]


async def test_who_dies_while_completing_a_session_leaves_no_trace(pool: Pool, tmp_path: Path) -> None:
    session = info()
    dead = Recorder(session, pool, tmp_path)
    dead.record(joined())
    await dead.save()
    await expire(pool)
    before = await pool.fetch("select * from sessions")

    def dies(_session: Session, _recorded_until: datetime | None) -> None:
        raise ConnectionResetError

    with pytest.raises(ConnectionResetError):
        await add_to_session(pool, session, T0, [heard("half", 1)], conclude=dies)
    assert await pool.fetch("select * from sessions") == before
    assert await complete_abandoned(pool, session.session_id)
    record = await sessions.load_record(pool, session.session_id)
    assert record is not None
    recorded_until = before[0]["lease_expires_at"] - timedelta(seconds=LEASE_SECONDS)
    assert abs(record["end_time"] - recorded_until) < timedelta(seconds=0.5)
    assert (record["lease_owner"], record["lease_expires_at"]) == (None, None)


async def test_a_spool_that_is_replayed_after_the_journal_was_purged_adds_to_the_record(
    pool: Pool, tmp_path: Path
) -> None:
    session = info()
    recorder = Recorder(session, pool, tmp_path)
    for event in (joined(), heard("in the database", 1), left(9), ended(9)):
        recorder.record(event)
    await recorder.close()
    await pool.execute("update sessions set updated_at = now() - interval '25 hours'")
    await sessions.purge_journal(pool)
    spool = Spool(tmp_path, session, "of-a-machine-that-was-off")
    spool.append([heard("in the spool", 3)])
    spool.close()
    await replay(pool, tmp_path)
    record = await sessions.load_record(pool, session.session_id)
    assert record is not None
    assert [entry["text"] for entry in record["transcript"]] == ["in the database", "in the spool"]
    assert (record["status"], record["duration_seconds"]) == ("completed", 9)
    assert not list(tmp_path.iterdir())


async def test_a_spool_that_is_replayed_twice_is_written_once(pool: Pool, tmp_path: Path) -> None:
    session = info()
    events: list[Event] = [
        joined(),
        heard("kept", 1),
        left(9),
        ended(9),
    ]
    for owner in ("before-the-crash", "after-the-crash"):
        spool = Spool(tmp_path, session, owner)
        spool.append(events)
        spool.close()
        await replay(pool, tmp_path)
    record = await sessions.load_record(pool, session.session_id)
    assert record is not None
    assert [entry["text"] for entry in record["transcript"]] == ["kept"]
    assert (await sessions.load_events(pool, session.session_id))[0] == events
    assert not list(tmp_path.iterdir())


async def test_words_of_a_session_that_nobody_joined_are_set_aside_not_deleted(
    pool: Pool, tmp_path: Path
) -> None:
    spool = Spool(tmp_path, info(), "of-an-unknown-session")
    spool.append([heard("whose?", 1)])
    spool.close()
    await replay(pool, tmp_path)
    (aside,) = tmp_path.iterdir()
    assert aside.suffix == ".rejected"
    assert "whose?" in aside.read_text()


async def test_a_rejected_value_is_spooled_and_not_tried_again(pool: Pool, tmp_path: Path) -> None:
    await pool.execute("alter table video_participants add constraint no_sam check (name <> 'Sam')")
    recorder = Recorder(info(), pool, tmp_path)
    recorder.record(joined())
    recorder.record(heard("nobody may read this in a log", 1))
    with capture_logs() as logged:
        await recorder.close()
    assert len(list(tmp_path.glob("*.jsonl"))) == 1
    refused = next(line for line in logged if line["event"] == "session_not_saved")
    assert refused["constraint_name"] == "no_sam"
    assert refused["spooled"]
    assert "save_retried" not in {line["event"] for line in logged}
    assert "nobody may read" not in str(logged)


async def test_a_database_from_before_gets_the_columns_that_came_later(dsn: str, pool: Pool) -> None:
    await pool.execute("alter table quality_readings drop column seconds")
    await migrate(dsn)
    assert await pool.fetchval("select count(seconds) from quality_readings") == 0


async def _acts(pool: Pool) -> bool:
    async with fleet.alone(pool) as acting:
        return acting


async def test_one_reconciler_acts_at_a_time_however_long_it_takes(
    pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fleet, "ACTING_SECONDS", 1)
    monkeypatch.setattr(fleet, "BEAT_SECONDS", 0.1)
    async with fleet.alone(pool) as acting:
        assert acting
        acts_since = "select min(xact_start) from pg_stat_activity where state = 'idle in transaction'"
        await until(lambda: pool.fetchval(f"select now() - ({acts_since}) > interval '2 seconds'"))
        assert not await _acts(pool)
    assert await _acts(pool)


async def test_a_reconciler_that_hangs_does_not_keep_the_others_from_acting(
    pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fleet, "ACTING_SECONDS", 1)
    monkeypatch.setattr(fleet, "BEAT_SECONDS", 3600)
    hangs = fleet.alone(pool)
    assert await hangs.__aenter__()
    assert not await _acts(pool)
    await until(lambda: _acts(pool))
    with pytest.raises(asyncpg.InterfaceError, match="closed"):
        await hangs.__aexit__(None, None, None)


async def test_two_workers_that_act_at_once_start_one_recorder(pool: Pool) -> None:
    for worker in ("first", "second"):
        await fleet.beat(pool, worker, 0, ready=True)
    assert await fleet.note_start(pool, "RM_1", "first") == 1
    assert await fleet.note_start(pool, "RM_1", "second") is None
    await pool.execute("update recorder_starts set at = now() - interval '1 minute'")
    assert await fleet.note_start(pool, "RM_1", "second") == 2


async def test_a_new_room_is_started_once_and_never_beside_a_recorder(pool: Pool) -> None:
    both = [fleet.note_first_start(pool, "RM_1", "coaching-1", worker) for worker in ("first", "second")]
    assert sorted(await asyncio.gather(*both)) == [False, True]
    session = info()
    lease = await claimed(pool, session, "first")
    assert not await fleet.note_first_start(pool, session.room_sid, "coaching-of-that-time", "second")
    restarted = ("RM_restarted", session.room_name, "second")
    assert not await fleet.note_first_start(pool, *restarted)
    await release(pool, lease)
    assert await fleet.note_first_start(pool, *restarted)


async def test_of_the_workers_that_are_ready_each_knows_who_starts_recorders(pool: Pool) -> None:
    await fleet.beat(pool, "own", 3, ready=True, report={"max_rooms": 10, "dispatch": "own"})
    await fleet.beat(pool, "of-the-release-before", 1, ready=True, report={"max_rooms": 8})
    await fleet.beat(pool, "full", 8, ready=False, report={"max_rooms": 8, "dispatch": "own"})
    others = await fleet.beat(pool, "another", 0, ready=True)
    assert sorted(others, key=lambda other: other.worker) == [
        fleet.Other("of-the-release-before", 7, starts=False),
        fleet.Other("own", 7, starts=True),
    ]


async def test_a_worker_that_missed_a_sign_of_life_lives_as_long_as_it_is_connected(
    dsn: str, pool: Pool
) -> None:
    await until(
        lambda: pool.fetchval("select pg_postmaster_start_time() < now() - interval '10 seconds'")
    )  # before, nobody need be connected yet
    session, worker = info(), "a-worker-with-a-name-" + 60 * "x"
    await claimed(pool, session, f"{worker}+1")
    connected = await open_pool(dsn, name=worker)
    await fleet.beat(connected, worker, 1, ready=True)
    await pool.execute("update workers set seen_at = now() - interval '3 seconds'")

    async def lives() -> bool:
        return (await fleet.held_sessions(pool, "another"))[0].alive

    assert await lives()
    connected.terminate()  # as when it is killed
    await until(lambda: dies(lives))
    await pool.execute("update workers set seen_at = now()")
    assert await lives()


async def test_a_worker_is_not_dead_for_what_it_could_not_tell_while_the_database_was_away(
    dsn: str, pool: Pool
) -> None:
    """Last seen an hour before the database began: it has as long as any other to be seen again."""
    connected = await open_pool(dsn, name="worker-a")
    await connected.fetchval("select 1")
    lives = "select worker_lives('worker-a', pg_postmaster_start_time() - interval '1 hour', $1)"
    age = await pool.fetchval(
        "select extract(epoch from now() - pg_postmaster_start_time())::double precision"
    )
    assert await pool.fetchval(lives, age + 60)
    assert not await pool.fetchval(lives, age)
    connected.terminate()


async def dies(lives: Callable[[], Awaitable[bool]]) -> bool:
    return not await lives()


async def test_only_starts_in_vain_are_counted(pool: Pool) -> None:
    session = info()
    for attempt in (1, 2):
        assert await fleet.note_start(pool, session.room_sid, "first") == attempt
    await claimed(pool, session, "first+1")
    assert await fleet.note_start(pool, session.room_sid, "first") == 1


async def test_a_start_whose_job_or_worker_is_gone_is_not_waited_for(pool: Pool) -> None:
    older = f"select pg_postmaster_start_time() < now() - make_interval(secs => {2 * fleet.DEAD_SECONDS})"
    await until(lambda: pool.fetchval(older))  # until then nobody is dead for not being seen
    for worker in ("first", "second"):
        await fleet.beat(pool, worker, 0, ready=True)
    await fleet.note_start(pool, "RM_1", "first")
    assert (await fleet.started(pool))["RM_1"].ago < TAKES
    await fleet.revoke_of_job(pool, "first", "coaching-x", "RM_1")
    assert (await fleet.started(pool))["RM_1"].ago >= TAKES
    assert await fleet.note_start(pool, "RM_1", "first") == 2
    await pool.execute("update workers set seen_at = now() - interval '1 minute' where worker = 'first'")
    assert (await fleet.started(pool))["RM_1"].ago >= TAKES
    assert await fleet.note_start(pool, "RM_1", "second") == 3
