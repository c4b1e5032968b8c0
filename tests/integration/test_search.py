"""Search among many sessions: the newest are looked through, what is older is found by the index of words."""

from datetime import UTC, datetime
from uuid import uuid4

from db import history
from db.pool import Pool
from db.viewer import Viewer

TEN = datetime(2026, 3, 1, 10, 0, tzinfo=UTC)
# $3 sessions of the user $1, each an hour older than the one before.
_MANY = """
insert into sessions (session_id, room_name, user_id, mode, status, start_time, transcript)
select gen_random_uuid(), 'coaching-' || n, $1, case n % 7 when 0 then 'voice' else 'video' end, 'completed',
       $2::timestamptz - n * interval '1 hour',
       jsonb_build_array(jsonb_build_object('speaker', 'user', 'timestamp', $2::timestamptz, 'text',
           'always' || case when n % 90 = 0 then ' only sometimes' else '' end
                    || case when n >= 600 then ' oldest' else '' end))
from generate_series(0, $3::integer - 1) n
"""


async def test_search_finds_the_old_as_well_as_the_new_each_once_and_in_order(pool: Pool) -> None:
    me, other = Viewer(uuid4()), Viewer(uuid4())
    for viewer in (me, other):
        await pool.execute(_MANY, viewer.user_id, TEN, 700)
    for words, every in (("always", 1), ("sometimes", 90), ("sometim", 90), ('"only sometimes"', 90)):
        expected = [f"coaching-{n}" for n in range(0, 700, every)]
        assert await _all_pages(pool, me, words) == expected, words
    assert await _all_pages(pool, me, "sometimes -oldest") == [f"coaching-{n}" for n in range(0, 600, 90)]
    assert await _all_pages(pool, me, "oldest", mode="voice") == [f"coaching-{n}" for n in range(602, 700, 7)]
    assert await _all_pages(pool, me, "never") == []
    both = await _all_pages(pool, Viewer(uuid4(), admin=True), "sometimes")
    assert both == [name for name in map("coaching-{}".format, range(0, 700, 90)) for _ in "xx"]


async def _all_pages(pool: Pool, viewer: Viewer, words: str, mode: str | None = None) -> list[str]:
    """The rooms' names as somebody who asks page after page sees them."""
    found: list[history.Row] = []
    more = True
    while more:
        after = (found[-1]["start_time"], found[-1]["session_id"]) if found else None
        page = await history.page(pool, viewer, history.Wanted(7, mode=mode, words=words, after=after))
        found, more = found + page.sessions, page.more
    ids = [row["session_id"] for row in found]
    rows = await pool.fetch("select session_id, room_name from sessions where session_id = any($1)", ids)
    names = {row["session_id"]: row["room_name"] for row in rows}
    return [names[session_id] for session_id in ids]
