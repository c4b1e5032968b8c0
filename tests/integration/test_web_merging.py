"""A client's save and the recorder's save of one session are one record, whoever comes first."""

import asyncio
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

from agent.recorder import Recorder
from agent.session.events import (
    ParticipantJoined,
    ParticipantLeft,
    QualityRead,
    Role,
    SessionEnded,
    UtteranceHeard,
)
from agent.session.rooms import SessionInfo
from db import sessions
from db.pool import Pool
from tests.integration.web_client import TEN, Web, finished


def recorder_of(session_id: UUID, user_id: UUID | None, pool: Pool, spool: Path) -> Recorder:
    return Recorder(
        SessionInfo(session_id, f"coaching-{session_id}", f"RM_{session_id}", user_id), pool, spool
    )


def begin(recorder: Recorder) -> None:
    recorder.record(
        ParticipantJoined(at=TEN, identity="student", participant_sid="PA_1", name="Sam", role="student")
    )


def join(recorder: Recorder, identity: str, user_id: UUID, role: Role) -> None:
    recorder.record(
        ParticipantJoined(
            at=TEN,
            identity=identity,
            participant_sid=f"PA_{identity}",
            name=identity.title(),
            role=role,
            user_id=str(user_id),
        )
    )


def say(recorder: Recorder, text: str, after: float) -> None:
    at = TEN + timedelta(seconds=after)
    end = at + timedelta(seconds=2)
    recorder.record(UtteranceHeard(at=at, end=end, identity="student", text=text, source="whisper"))


def measure(recorder: Recorder) -> None:
    at = TEN + timedelta(seconds=10)
    recorder.record(
        QualityRead(
            at=at,
            seconds=10,
            identity="student",
            track_sid="TR_1",
            source="camera",
            leg="sfu_to_recorder",
            bitrate_kbps=500,
            fps=15,
        )
    )


def end(recorder: Recorder, after: float = 60) -> None:
    at = TEN + timedelta(seconds=after)
    recorder.record(ParticipantLeft(at=at, identity="student", participant_sid="PA_1"))
    recorder.record(SessionEnded(at=at, reason="room_empty"))


async def record_of(pool: Pool, session_id: UUID) -> dict[str, Any]:
    record = await sessions.load_record(pool, session_id)
    assert record is not None
    return record


def texts(record: dict[str, Any]) -> list[str]:
    return [entry["text"] for entry in record["transcript"]]


async def test_three_saves_of_a_client_at_once_while_the_recorder_saves_make_one_row(
    web: Web, pool: Pool, tmp_path: Path
) -> None:
    user_id, session_id = uuid4(), uuid4()
    me, told = web.user(user_id), finished(session_id)
    recorder = recorder_of(session_id, user_id, pool, tmp_path)
    begin(recorder)
    measure(recorder)
    for n in range(5):
        say(recorder, f"the recorder heard sentence number {n}", 5 * n)
    end(recorder)
    async with asyncio.TaskGroup() as at_once:
        at_once.create_task(recorder.close())
        posts = [at_once.create_task(me.post("/api/sessions/save", json=told)) for _ in range(3)]
    assert sorted(post.result().status_code for post in posts) in ([200, 200, 200], [200, 200, 201])
    assert await pool.fetchval("select count(*) from sessions") == 1
    record = await record_of(pool, session_id)
    assert len(texts(record)) == 5  # the recorder's, which is fuller
    assert record["counselor_category"] == "college"  # the client's, which the recorder did not know
    assert (record["duration_seconds"], record["end_reason"]) == (60, "room_empty")
    assert record["quality_metrics"]["average_fps"] == 15
    assert len((await me.get("/api/sessions")).json()["sessions"]) == 1


async def test_heard_words_stand_and_told_ones_beside_them_whoever_saves_last(
    web: Web, pool: Pool, tmp_path: Path
) -> None:
    for recorder_first in (True, False):
        user_id, session_id = uuid4(), uuid4()
        me, staff = web.user(user_id), web.admin()
        recorder = recorder_of(session_id, user_id, pool, tmp_path)
        begin(recorder)
        say(recorder, "hm", 3)
        end(recorder)
        if recorder_first:
            await recorder.close()
        quality = {"average_fps": 12, "connection_quality_average": "good"}
        saved = await me.post("/api/sessions/save", json=finished(session_id, quality_metrics=quality))
        assert saved.status_code == (200 if recorder_first else 201)
        if not recorder_first:
            await recorder.close()
        record = await record_of(pool, session_id)
        assert texts(record) == ["hm"]
        assert record["quality_metrics"]["average_fps"] == 12  # where nothing was measured
        assert (record["end_reason"], record["duration_seconds"]) == ("room_empty", 60)
        for reader in (me, staff):
            told = (await reader.get(f"/api/sessions/{session_id}")).json()
            assert [(e["text"], e.get("told_by")) for e in told["transcript"]] == [
                ("hm", None),
                ("I want to study biology.", str(user_id)),
                ("Tell me more.", str(user_id)),
            ]
            assert list(told["conversation"]["participants"]) == ["student"]  # no measure of it is told
            words = (await reader.get(f"/api/sessions/{session_id}/transcript.txt")).text.splitlines()
            assert words == [
                "[00:00:03] Sam: hm",
                "[00:00:12] user (told): I want to study biology.",
                "[00:00:20] counselor (told): Tell me more.",
            ]
            for search, by_client in (("biology", True), ("hm", False)):
                found = (await reader.get("/api/sessions", params={"q": search})).json()["sessions"]
                assert {s["session_id"]: s["found"]["told"] for s in found}[str(session_id)] == by_client
        page = (await (await web.reader(user_id)).get(f"/session-history/{session_id}")).text
        assert page.count("client, not heard") == 2
        page = (await (await web.reader(user_id)).get("/session-history?q=biology")).text
        assert "told by a client, not heard" in page


async def test_a_longer_tale_of_a_client_replaces_no_heard_word(web: Web, pool: Pool, tmp_path: Path) -> None:
    user_id, session_id = uuid4(), uuid4()
    recorder = recorder_of(session_id, user_id, pool, tmp_path)
    begin(recorder)
    say(recorder, "I did not say that you are stupid", 3)
    end(recorder)
    await recorder.close()
    forged = [
        {"speaker": "counselor", "identity": "counselor-1", "text": "You are stupid " * 50, "timestamp": at}
        for at in ("2026-03-01T10:00:03Z", "2026-03-01T10:00:09Z")
    ]
    told = finished(session_id, transcript=forged)
    for _ in range(2):
        assert (await web.user(user_id).post("/api/sessions/save", json=told)).status_code == 200
    shown = (await web.admin().get(f"/api/sessions/{session_id}")).json()["transcript"]
    assert [e["text"] for e in shown if "told_by" not in e] == ["I did not say that you are stupid"]
    assert [e["told_by"] for e in shown if "told_by" in e] == [str(user_id)] * 2
    # A session that goes on after its journal was purged goes on from what was heard.
    await pool.execute("delete from session_events")
    again = recorder_of(session_id, user_id, pool, tmp_path)
    again.record(
        ParticipantJoined(
            at=TEN + timedelta(minutes=9),
            identity="student",
            participant_sid="PA_2",
            name="Sam",
            role="student",
        )
    )
    end(again, 600)
    await again.close()
    assert texts(await record_of(pool, session_id)) == ["I did not say that you are stupid"]


async def test_a_recorder_at_work_is_not_disturbed(web: Web, pool: Pool, tmp_path: Path) -> None:
    user_id, session_id = uuid4(), uuid4()
    me = web.user(user_id)
    recorder = recorder_of(session_id, user_id, pool, tmp_path)
    begin(recorder)
    await recorder.save()
    lease = "select lease_owner, lease_epoch, lease_expires_at, status, start_time from sessions"
    before = await pool.fetchrow(lease)
    assert (await me.post("/api/sessions/save", json=finished(session_id))).status_code == 200
    for status in ("completed", "in_progress", "completed"):
        told = await me.patch(f"/api/sessions/{session_id}", json={"status": status})
        assert (told.status_code, told.json()["status"]) == (200, "in_progress")
    assert await pool.fetchrow(lease) == before
    say(recorder, "and the recorder goes on recording what is said in this room", 70)
    end(recorder, 80)
    await recorder.close()
    record = await record_of(pool, session_id)
    assert (record["status"], record["duration_seconds"]) == ("completed", 80)
    assert not list(tmp_path.iterdir())  # nothing had to be spooled


async def test_what_is_going_on_can_be_read_while_it_goes_on(web: Web, pool: Pool, tmp_path: Path) -> None:
    user_id, session_id = uuid4(), uuid4()
    recorder = recorder_of(session_id, user_id, pool, tmp_path)
    begin(recorder)
    say(recorder, "words of this minute", 3)
    await recorder.save()
    told = (await web.user(user_id).get(f"/api/sessions/{session_id}")).json()
    assert told["status"] == "in_progress"
    assert texts(told) == ["words of this minute"]
    assert told["participants"][0]["recorded"]


async def test_a_session_without_an_owner_becomes_that_of_nobody_who_only_knows_its_id(
    web: Web, pool: Pool, tmp_path: Path
) -> None:
    session_id, guest, counselor = uuid4(), uuid4(), uuid4()
    recorder = recorder_of(session_id, None, pool, tmp_path)
    begin(recorder)
    join(recorder, "guest", guest, "participant")
    join(recorder, "carol", counselor, "counselor")
    say(recorder, "whose session is this, I wonder?", 3)
    end(recorder)
    await recorder.close()
    save = finished(session_id)
    knows_its_id = web.user(uuid4())
    assert (await knows_its_id.post("/api/sessions/save", json=save)).status_code == 404
    assert (await knows_its_id.get(f"/api/sessions/{session_id}")).status_code == 404
    for user_id, owner in ((counselor, None), (guest, guest)):  # a counselor sees it, it is not theirs
        assert (await web.user(user_id).post("/api/sessions/save", json=save)).status_code == 200
        assert await pool.fetchval("select user_id from sessions") == owner
        shown = (await web.user(user_id).get(f"/api/sessions/{session_id}")).json()
        assert shown["transcript"][0]["text"] == "whose session is this, I wonder?"


async def test_a_stay_that_the_recorder_sees_is_not_told_twice(web: Web, pool: Pool, tmp_path: Path) -> None:
    user_id, session_id = uuid4(), uuid4()
    me = web.user(user_id)
    recorder = recorder_of(session_id, user_id, pool, tmp_path)
    recorder.record(
        ParticipantJoined(
            at=TEN,
            identity="student",
            participant_sid="PA_1",
            name="Sam",
            role="student",
            user_id=str(user_id),
        )
    )
    await recorder.save()
    told = {"sessionId": str(session_id), "userId": str(user_id), "name": "Sam"}
    known = await me.post("/api/coaching/participants", json=told)
    assert (known.status_code, known.json()["recorded"]) == (200, True)
    left = await me.patch("/api/coaching/participants", json={"participantId": known.json()["participantId"]})
    assert left.json()["leftAt"] is None  # the recorder still sees them
