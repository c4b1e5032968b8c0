"""However long a session is, and however much is sent in it: it is saved, and nobody waits for it."""

import asyncio
from contextlib import suppress
from pathlib import Path
from time import perf_counter
from typing import Any

import pytest

from agent.recorder import Recorder
from agent.session.events import Event
from agent.session.fold import fold
from agent.turns import add_to_session
from bench.stack import until
from db import sessions
from db.pool import Pool
from tests.integration.test_database import T0, claimed, ended, expire, heard, info, joined, left

FLOOD = """
    insert into session_events (session_id, seq, at, kind, data)
    select $1, n, $2::timestamptz + n * interval '1 second', 'UtteranceHeard', jsonb_build_object(
        'end', to_jsonb($2::timestamptz + n * interval '1 second'), 'identity', 'student', 'source', 'data',
        'text', repeat(md5(n::text), 500))
    from generate_series(100, 100 + $3) n
"""


async def test_a_session_with_300_megabytes_of_own_words_in_its_journal_is_saved(pool: Pool) -> None:
    session = info()
    lease = await claimed(pool, session, "one")
    events: list[Event] = [joined(), heard("What was heard.", 1), left(50_000), ended(50_000)]
    async with pool.acquire() as connection:
        changes = await sessions.gathered(fold(session, events), events, finished=False)
        await sessions.write(connection, changes, 0, lease=lease)
        for first in range(0, 19_000, 1000):
            await connection.execute(
                FLOOD.replace("100, 100", f"{100 + first}, {100 + first}"), session.session_id, T0, 999
            )
    await expire(pool)
    await add_to_session(pool, session, T0)
    record = await sessions.load_record(pool, session.session_id)
    assert record is not None
    assert record["status"] == "completed"
    assert "What was heard." in {entry["text"] for entry in record["transcript"]}
    assert 400 < len(record["transcript"]) < 600
    assert [gap["reason"] for gap in record["gaps"]] == ["own_words_refused"]


async def test_after_the_end_everything_is_journaled_at_once_and_the_row_written_now_and_then(
    pool: Pool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = 0
    gathered = sessions.gathered

    async def counted(*args: Any, **more: Any) -> sessions.Changes:
        nonlocal rows
        rows += 1
        return await gathered(*args, **more)

    monkeypatch.setattr(sessions, "gathered", counted)
    recorder = Recorder(info(), pool, tmp_path)
    keeping = asyncio.create_task(recorder.keep())
    try:
        for event in (joined(), heard("hello", 1), left(5), ended(5)):
            recorder.record(event)
        await recorder.save()
        at_first, began = rows, perf_counter()
        for n in range(15):
            recorder.record(heard(f"late {n}", 2 + n / 10))
            told = n + 5
            await until(lambda told=told: journaled(pool, told))
        await recorder.saved()
        record = await sessions.load_record(pool, recorder.session.info.session_id)
        assert record is not None
        assert len(record["transcript"]) == 16
        assert rows - at_first <= 2 + perf_counter() - began  # one a second, of 15
    finally:
        keeping.cancel()
        with suppress(asyncio.CancelledError):
            await keeping


async def journaled(pool: Pool, events: int) -> bool:
    return bool(await pool.fetchval("select count(*) = $1 from session_events", events))
