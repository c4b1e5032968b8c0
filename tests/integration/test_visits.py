"""Stays as LiveKit's webhooks tell of them, in the database: in any order, perhaps twice."""

from dataclasses import replace

from db.pool import Pool
from db.sessions import purge_journal
from db.visits import Visit, note_visit, visits_of
from tests.unit.builders import at

GUEST = Visit("PA_1", "guest", "Guest", "participant", is_agent=False, user_id=None, joined_at=at(0))
GONE = replace(GUEST, left_at=at(0.25))


async def test_a_leave_may_come_before_its_join(pool: Pool) -> None:
    for told in ([GUEST, GONE], [GONE, GUEST], [GONE, GUEST, GONE, GUEST]):
        await pool.execute("delete from room_visits")
        for visit in told:
            await note_visit(pool, "RM_1", visit)
        assert await visits_of(pool, "RM_1", [], []) == [GONE]


async def test_only_what_a_recorder_does_not_know_is_told(pool: Pool) -> None:
    await note_visit(pool, "RM_1", GUEST)
    await note_visit(pool, "RM_2", replace(GUEST, participant_sid="PA_2"))
    assert await visits_of(pool, "RM_1", ["PA_1"], ["PA_1"]) == []
    await note_visit(pool, "RM_1", GONE)
    assert await visits_of(pool, "RM_1", ["PA_1"], []) == []
    assert await visits_of(pool, "RM_1", ["PA_1"], ["PA_1"]) == [GONE]


async def test_what_was_told_a_day_ago_is_forgotten(pool: Pool) -> None:
    await note_visit(pool, "RM_1", GUEST)
    await pool.execute("update room_visits set told_at = now() - interval '25 hours'")
    await note_visit(pool, "RM_1", replace(GUEST, participant_sid="PA_2"))
    await purge_journal(pool)
    assert [visit.participant_sid for visit in await visits_of(pool, "RM_1", [], [])] == ["PA_2"]
