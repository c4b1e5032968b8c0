"""Whose session a row says it is: as the core decides, in whatever order proofs come, live and after."""

from collections.abc import Sequence
from datetime import timedelta
from itertools import permutations
from pathlib import Path
from uuid import UUID, uuid4

import pytest

from agent.abandoned import complete_abandoned
from agent.recorder import Recorder
from agent.session.events import ParticipantJoined, ParticipantLeft, SessionEnded
from agent.session.ownership import Proof
from agent.session.rooms import SessionInfo
from db import client_saves, history
from db.pool import Pool, migrate
from db.sessions import purge_journal
from db.viewer import Viewer
from tests.integration.web_client import TEN

METADATA, ATTRIBUTE, IDENTITY, OPENED, SAVED = (UUID(int=n) for n in range(1, 6))
OWNERS: dict[Proof, UUID] = {
    "metadata": METADATA,
    "attribute": ATTRIBUTE,
    "identity": IDENTITY,
    "opened": OPENED,
    "saved": SAVED,
}
FALLING = tuple(OWNERS)


class Story:
    """One session, to which one proof after the other comes while a recorder is in its room."""

    def __init__(self, pool: Pool, spool: Path) -> None:
        self.pool, self.session_id = pool, uuid4()
        self.recorder = Recorder(self.info(), pool, spool)
        self.recorder.record(self.join("guest", None))

    def info(self, user_id: UUID | None = None) -> SessionInfo:
        return SessionInfo(self.session_id, f"coaching-{self.session_id}", f"RM_{self.session_id}", user_id)

    def join(self, identity: str, user_id: UUID | None, *, student: bool = False) -> ParticipantJoined:
        return ParticipantJoined(
            at=TEN,
            identity=identity,
            participant_sid=f"PA_{identity}",
            name=identity.title(),
            role="student" if student else "participant",
            user_id=str(user_id) if user_id else None,
            observed=TEN,
        )

    async def comes(self, proof: Proof) -> None:
        """What LiveKit tells is written at once."""
        match proof:
            case "metadata":
                self.recorder.told_of_room(self.info(METADATA))
            case "attribute":
                self.recorder.record(self.join("student-1", ATTRIBUTE, student=True))
            case "identity":
                self.recorder.record(self.join(str(IDENTITY), IDENTITY, student=True))
            case "opened" | "saved":
                await self.told(proof)
                return
        await self.recorder._write()

    async def told(self, proof: Proof) -> None:
        words = [{"speaker": "user", "text": f"as {proof} says", "timestamp": TEN.isoformat()}]
        told = client_saves.Told(
            self.session_id, "coaching-x", "voice", TEN, "tales", TEN + timedelta(minutes=1), words
        )
        viewer = Viewer(OWNERS[proof])
        if proof == "opened":
            await client_saves.begin(self.pool, viewer, viewer.user_id, told)
        else:
            await client_saves.save(self.pool, viewer, viewer.user_id, told)

    async def owner(self) -> UUID | None:
        found: UUID | None = await self.pool.fetchval(
            "select user_id from sessions where session_id = $1", self.session_id
        )
        return found

    async def end(self) -> None:
        for sid, identity in (("PA_guest", "guest"), ("PA_student-1", "student-1")):
            self.recorder.record(ParticipantLeft(at=TEN, identity=identity, participant_sid=sid))
        self.recorder.record(SessionEnded(at=TEN + timedelta(minutes=1), reason="room_empty"))
        await self.recorder.close()


@pytest.mark.parametrize("first", ["opened", "saved", "recorder"])
async def test_the_best_proof_owns_it_in_every_order_live_and_after(
    pool: Pool, tmp_path: Path, first: str
) -> None:
    """One of a session's clients may tell of it before its room begins; afterwards a row is there already."""
    observed: Sequence[Proof] = ("metadata", "attribute", "identity")
    for size in range(len(observed) + 1):
        for order in permutations(observed, size):
            story = Story(pool, tmp_path)
            known: list[Proof] = []
            if first in ("opened", "saved"):
                known = [first]  # type: ignore[list-item]
                await story.comes(known[0])
                assert await story.owner() == OWNERS[known[0]]
            await story.recorder._write()
            for proof in (None, *order):
                if proof:
                    await story.comes(proof)
                    known.append(proof)
                # LiveKit did not see who only saved it.
                proven = [p for p in FALLING if p in known and p != "saved"]
                assert await story.owner() == (OWNERS[proven[0]] if proven else None), (first, order, proof)
            await story.end()
            assert await story.owner() == (OWNERS[proven[0]] if proven else None)


async def test_what_the_client_of_somebody_overruled_told_goes_with_their_claim(
    pool: Pool, tmp_path: Path
) -> None:
    story = Story(pool, tmp_path)
    await story.comes("saved")
    await story.recorder._write()
    await story.comes("attribute")
    row = await pool.fetchrow("select * from sessions")
    assert row is not None
    assert (row["user_id"], row["client_record"], row["counselor_category"]) == (ATTRIBUTE, None, None)
    assert (row["mode"], row["transcript"]) == ("video", [])
    assert await history.one(pool, Viewer(SAVED), story.session_id) is None
    await story.end()


async def test_who_saved_before_the_room_began_and_is_its_student_loses_nothing(
    pool: Pool, tmp_path: Path
) -> None:
    story = Story(pool, tmp_path)
    await story.comes("saved")
    story.recorder.record(story.join("student-1", SAVED, student=True))
    await story.recorder._write()
    row = await pool.fetchrow("select * from sessions")
    assert row is not None
    assert (row["user_id"], row["owner_proof"], row["mode"]) == (SAVED, "attribute", "voice")
    assert row["client_record"][str(SAVED)]["transcript"][0]["text"] == "as saved says"
    await story.end()


async def test_a_session_that_its_client_saved_before_the_room_began_goes_on_while_it_is_recorded(
    pool: Pool, tmp_path: Path
) -> None:
    story = Story(pool, tmp_path)
    await story.comes("saved")
    story.recorder.record(story.join("student-1", SAVED, student=True))
    await story.recorder._write()
    row = await pool.fetchrow("select status, end_time, duration_seconds, end_reason from sessions")
    assert row is not None
    assert tuple(row) == ("in_progress", None, None, None)
    seen = await history.one(pool, Viewer(SAVED), story.session_id)
    assert seen is not None
    assert seen.journal  # what is heard can be read while it is
    # A journal that nobody goes on with is not one of a session that is over.
    await pool.execute("update sessions set lease_owner = null, updated_at = now() - interval '2 days'")
    await purge_journal(pool)
    assert await complete_abandoned(pool, story.session_id)
    assert await pool.fetchval("select end_reason from sessions") == "recorder_lost"


async def test_what_a_session_was_about_is_its_owners_to_tell(pool: Pool, tmp_path: Path) -> None:
    story = Story(pool, tmp_path)
    story.recorder.record(story.join("student-1", ATTRIBUTE, student=True))
    story.recorder.record(story.join("guest-1", OPENED))
    await story.recorder._write()
    for teller, expected in ((OPENED, None), (ATTRIBUTE, "as 2"), (OPENED, "as 2")):
        by_client = client_saves.Told(story.session_id, "x", "video", TEN, f"as {teller.int}", end_time=TEN)
        assert await client_saves.save(pool, Viewer(teller), teller, by_client)
        assert await pool.fetchval("select counselor_category from sessions") == expected
    await story.end()


async def test_a_clients_mode_holds_where_the_rooms_metadata_tell_none(pool: Pool, tmp_path: Path) -> None:
    for told, expected in ((None, "voice"), ("video", "video")):
        session_id, viewer = uuid4(), Viewer(ATTRIBUTE)
        info = SessionInfo(
            session_id,
            f"coaching-{session_id}",
            f"RM_{session_id}",
            viewer.user_id,
            mode_known=told is not None,
        )
        recorder = Recorder(info, pool, tmp_path)
        recorder.record(
            ParticipantJoined(at=TEN, identity="a", participant_sid="PA_a", name="", role="student")
        )
        await recorder._write()
        by_client = client_saves.Told(session_id, "x", "voice", TEN, end_time=TEN)
        saved = await client_saves.save(pool, viewer, viewer.user_id, by_client)
        assert saved is not None
        assert saved.mode == expected
        await recorder.close()
        assert await pool.fetchval("select mode from sessions where session_id = $1", session_id) == expected


async def test_a_database_from_before_there_were_proofs_keeps_its_sessions_and_gives_them_their_viewers(
    dsn: str, pool: Pool
) -> None:
    me, coach, session_id = uuid4(), uuid4(), uuid4()
    await pool.execute("drop trigger sessions_note_viewers on sessions; drop table session_viewers cascade")
    await pool.execute(
        "alter table sessions drop column words, drop column owner_proof cascade, drop column viewers cascade"
    )
    await pool.execute(
        "create function transcript_words(jsonb, uuid) returns tsvector language sql immutable "
        "as $$ select to_tsvector('simple', $1::text) $$;"
        "alter table sessions add words tsvector "
        "generated always as (transcript_words(transcript, user_id)) stored"
    )
    await pool.execute(
        "insert into sessions (session_id, room_name, user_id, mode, status, start_time, lease_epoch, "
        "transcript, client_record) values ($1, 'x', $2, 'video', 'completed', $3, 1, $4, $5)",
        session_id,
        me,
        TEN,
        [{"speaker": "user", "text": "biology", "timestamp": TEN.isoformat()}],
        {"transcript": [{"speaker": "user", "text": "zebra", "timestamp": TEN.isoformat()}]},
    )
    await pool.execute(
        "insert into video_participants (session_id, user_id, identity, participant_sid, role) "
        "values ($1, $2, 'carol', 'PA_1', 'counselor'), ($1, $3, 'told', null, 'participant')",
        session_id,
        coach,
        uuid4(),
    )
    opened = Viewer(uuid4())  # and about to enter, while the release is replaced
    await pool.execute(
        "insert into sessions (session_id, room_name, user_id, mode, status, start_time) "
        "values (gen_random_uuid(), 'y', $1, 'video', 'in_progress', $2)",
        opened.user_id,
        TEN,
    )
    await migrate(dsn)
    await migrate(dsn)
    assert await pool.fetchval("select owner_proof from sessions where room_name = 'y'") == "opened"
    assert len((await history.page(pool, opened, history.Wanted(10))).sessions) == 1
    for user_id in (me, coach):
        for words in (None, "biology", "zebra"):
            found = await history.page(pool, Viewer(user_id), history.Wanted(10, words=words))
            assert [row["session_id"] for row in found.sessions] == [session_id]
    row = await pool.fetchrow(
        "select owner_proof, viewers, client_record from sessions where session_id = $1", session_id
    )
    assert row is not None
    assert (row["owner_proof"], row["viewers"], list(row["client_record"])) == (
        "attribute",
        [coach],
        [str(me)],
    )
