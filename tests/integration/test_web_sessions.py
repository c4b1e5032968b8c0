"""The API's sessions: saved, listed, searched, read; and what is refused."""

import json
from typing import Any
from uuid import UUID, uuid4

import pytest

from agent.session.user_ids import user_id
from db import quotas
from db.pool import Pool
from tests.integration.web_client import Web, finished, token


async def test_a_session_that_is_saved_is_in_the_history_and_can_be_read(web: Web) -> None:
    me = web.user()
    told = finished()
    saved = await me.post("/api/sessions/save", json=told)
    assert (saved.status_code, saved.json()["message"]) == (201, "Session saved to your history")
    (listed,) = (await me.get("/api/sessions")).json()["sessions"]
    assert listed["session_id"] == told["session_id"]
    assert (listed["status"], listed["duration_seconds"]) == ("completed", 1425)
    assert listed["start_time"] == "2026-03-01T10:00:00Z"
    detail = (await me.get(f"/api/sessions/{told['session_id']}")).json()
    assert [words["text"] for words in detail["transcript"]] == ["I want to study biology.", "Tell me more."]
    assert detail["conversation"]["turns"] == 2
    assert detail["created_at"] == listed["created_at"] > listed["end_time"]  # it was told later


async def test_saving_again_changes_nothing_but_for_what_is_fuller(web: Web) -> None:
    me, told = web.user(), finished()
    shorter = told | {"transcript": told["transcript"][:1], "counselor_category": "career"}
    fuller = told | {
        "transcript": [*told["transcript"], {**told["transcript"][0], "timestamp": "2026-03-01T10:00:30Z"}],
        "quality_metrics": {"average_fps": 15, "connection_quality_average": "good"},
    }
    for path, body, status, words in (
        ("/api/sessions/save", told, 201, 2),
        ("/api/v1/sessions/save", told, 200, 2),
        ("/api/sessions/save", shorter, 200, 2),
        ("/api/sessions/save", fuller, 200, 3),
        ("/api/sessions/save", shorter, 200, 3),
    ):
        answer = await me.post(path, json=body)
        assert answer.status_code == status
        detail = (await me.get(f"/api/sessions/{told['session_id']}")).json()
        assert len(detail["transcript"]) == words
    assert detail["counselor_category"] == "college"
    told_by_us = {"average_fps": 15, "connection_quality_average": "good", "source": "client"}
    assert detail["quality_metrics"] == told_by_us


JSON = {"content-type": "application/json"}
LONG = {"speaker": "user", "text": "x" * 17_000, "timestamp": "2026-03-01T10:00:12Z"}
NO_FIGURES: list[Any] = [
    "fast",
    "",
    "-0.5",
    -1,
    "NaN",
    "Infinity",
    "1e999",
    1e308,
    "1_000",
    "0x10",
    "٣",
    True,
    [],
    10**400,
]
BAD: list[tuple[dict[str, Any], int, str]] = [
    ({"start_time": "yesterday"}, 422, "start_time"),
    ({"end_time": 1772359200}, 422, "end_time"),
    ({"end_time": "2026-03-01T09:59:59Z"}, 422, "end_time"),
    ({"end_time": "2026-04-01T09:59:59Z"}, 422, "end_time"),
    ({"start_time": "0001-01-01T00:00:00+14:00"}, 422, "start_time"),
    ({"duration_seconds": 1400}, 422, "duration_seconds"),
    ({"duration_seconds": -1}, 422, "duration_seconds"),
    ({"mode": "telegraph"}, 422, "mode"),
    ({"session_id": "one"}, 422, "session_id"),
    ({"duration_seconds": "long"}, 422, "duration_seconds"),
    ({"transcript": [{**LONG, "text": "x", "timestamp": "soon"}]}, 422, "transcript.0.timestamp"),
    ({"transcript": {"user": "x"}}, 422, "transcript"),
    ({"transcript": [LONG]}, 422, "transcript.0.text"),
    ({"transcript": [{**LONG, "text": None}]}, 422, "transcript.0.text"),
    ({"transcript": [{**LONG, "text": "x", "speaker": "cat"}]}, 422, "transcript.0.speaker"),
    ({"transcript": [{**LONG, "text": "x", "end": "2026-03-01T10:00:11Z"}]}, 422, "transcript.0"),
    ({"transcript": [{**LONG, "text": "x"}] * 20_001}, 422, "transcript"),
    ({"transcript": [LONG] * 700}, 413, "transcript"),
    ({"transcript": [{**LONG, "text": "x", "identity": f"u{n}"} for n in range(101)]}, 422, "transcript"),
    ({"quality_metrics": "good"}, 422, "quality_metrics"),
    (
        {"quality_metrics": {"connection_quality_average": "so-so"}},
        422,
        "quality_metrics.connection_quality_average",
    ),
    *(
        ({"quality_metrics": {name: value}}, 422, f"quality_metrics.{name}")
        for name in ("average_bitrate", "average_fps", "packet_loss_percentage", "total_readings")
        for value in NO_FIGURES
    ),
    ({"quality_metrics": {"total_readings": "1.5"}}, 422, "quality_metrics.total_readings"),
    ({"user_id": str(uuid4())}, 403, "user_id"),
]


async def test_bad_input_is_refused_by_the_name_of_its_field_and_nothing_is_written(
    web: Web, pool: Pool
) -> None:
    me = web.user()
    for wrong, status, field in BAD:
        refused = await me.post("/api/sessions/save", json=finished() | wrong)
        told = refused.json()
        assert (field, refused.status_code, told["status"]) == (field, status, status)
        assert refused.headers["content-type"] == "application/problem+json"
        # What concerns two fields names them in its words.
        assert any(error["field"] == field or field in error["detail"] for error in told["errors"]), field
        assert "xxxx" not in refused.text
    assert await pool.fetchval("select count(*) from sessions") == 0


async def test_what_is_no_session_at_all_is_refused(web: Web) -> None:
    me = web.user()
    for body in (b"", b"{", b"[]", b"null", b'"x"', b"\xff\xfe", b"[" * 100_000):
        refused = await me.post("/api/sessions/save", content=body, headers=JSON)
        assert refused.status_code in (400, 422), body[:9]
        assert refused.headers["content-type"] == "application/problem+json"


async def test_ten_megabytes_are_refused_also_when_their_length_is_not_told(web: Web, pool: Pool) -> None:
    body = json.dumps(finished() | {"transcript": [LONG] * 620}).encode()

    async def in_pieces() -> Any:
        for start in range(0, len(body), 65_536):
            yield body[start : start + 65_536]

    refused = await web.user().post("/api/sessions/save", content=in_pieces(), headers=JSON)
    assert refused.status_code == 413
    assert refused.json()["errors"] == [{"field": "transcript", "detail": "is larger than 4 MiB"}]
    assert await pool.fetchval("select count(*) from sessions") == 0


async def test_what_postgresql_cannot_hold_is_left_out(web: Web) -> None:
    me, told = web.user(), finished()
    words = [{"speaker": "user", "text": "a\0b", "timestamp": "2026-03-01T10:00:12Z"}]
    body = json.dumps(told | {"transcript": words}).replace("college", "c\\ud800d")
    saved = await me.post("/api/sessions/save", content=body, headers=JSON)
    assert saved.status_code in (201, 422)
    if saved.status_code == 201:
        detail = (await me.get(f"/api/sessions/{told['session_id']}")).json()
        assert (detail["counselor_category"], detail["transcript"][0]["text"]) == ("cd", "ab")


async def test_pages_are_newest_first_without_overlap_also_where_times_are_equal(web: Web) -> None:
    me = web.user()
    ids = [UUID(int=n + 1) for n in range(7)]
    for n, session_id in enumerate(ids):
        minute = n // 2  # pairs begin at the same time
        times = {"start_time": f"2026-03-01T10:0{minute}:00Z", "duration_seconds": None}
        assert (await me.post("/api/sessions/save", json=finished(session_id, **times))).status_code == 201
    seen: list[str] = []
    cursor: dict[str, str] = {}
    while True:
        page = (await me.get("/api/sessions", params={"limit": 2, **cursor})).json()
        seen += [line["session_id"] for line in page["sessions"]]
        if page["next"] is None:
            break
        cursor = {"cursor": page["next"]}
    assert seen == [str(session_id) for session_id in reversed(ids)]


async def test_a_list_that_cannot_be_is_refused_by_name(web: Web) -> None:
    me = web.user()
    for query, field in (
        ("limit=0", "limit"),
        ("limit=101", "limit"),
        ("cursor=nonsense", "cursor"),
        ("cursor=MDAwMS0wMS0wMVQwMDowMDowMC8x", "cursor"),
        ("mode=telegraph", "mode"),
        ("status=lost", "status"),
        (f"q={'x' * 201}", "q"),
    ):
        refused = await me.get(f"/api/sessions?{query}")
        assert (refused.status_code, refused.json()["errors"][0]["field"]) == (422, field)


async def test_filters_and_search(web: Web) -> None:
    me = web.user()
    words = [{"speaker": "user", "text": "Fotosynthese ist schön", "timestamp": "2026-03-01T10:01:00Z"}]
    voice = finished(mode="voice", transcript=words)
    video = finished()
    for body in (voice, video):
        await me.post("/api/sessions/save", json=body)
    await web.user().post("/api/sessions/save", json=finished())  # somebody else's

    async def ids(**query: str) -> list[str]:
        answer = await me.get("/api/sessions", params=query)
        assert answer.status_code == 200
        return [line["session_id"] for line in answer.json()["sessions"]]

    assert await ids(mode="voice") == [voice["session_id"]]
    assert await ids(status="in_progress") == []
    assert await ids(q="biolog") == [video["session_id"]]
    assert await ids(q="FOTOS SCHÖN") == [voice["session_id"]]
    assert await ids(q='"study biology"') == [video["session_id"]]
    assert await ids(q="biology -tell") == []
    assert await ids(q="biology", mode="voice") == []
    assert await ids(q="!!!") == []
    assert await ids(q="'); drop table sessions; --\\") == []
    assert len(await ids(q="tell or schön")) == 2
    found = (await me.get("/api/sessions", params={"q": "tell"})).json()["sessions"][0]["found"]
    assert found == {"text": "Tell me more.", "timestamp": "2026-03-01T10:00:20Z", "told": True}


@pytest.mark.parametrize(
    ("form", "media", "begin"),
    [
        ("json", "application/json", "["),
        ("txt", "text/plain; charset=utf-8", "[00:00:12] user: I want to study biology.\n"),
        ("vtt", "text/vtt; charset=utf-8", "WEBVTT\n\n00:00:12.000 --> 00:00:13.000\n<v user>I want"),
        ("srt", "application/x-subrip", "1\n00:00:12,000 --> 00:00:13,000\nuser: I want"),
    ],
)
async def test_the_words_in_the_formats_people_use(web: Web, form: str, media: str, begin: str) -> None:
    me, told = web.user(), finished()
    await me.post("/api/sessions/save", json=told)
    words = await me.get(f"/api/sessions/{told['session_id']}/transcript.{form}")
    assert words.headers["content-type"] == media
    assert words.text.startswith(begin)
    assert f"session-{told['session_id']}.{form}" in words.headers["content-disposition"]


async def test_a_format_nobody_uses_is_refused(web: Web) -> None:
    me, told = web.user(), finished()
    await me.post("/api/sessions/save", json=told)
    assert (await me.get(f"/api/sessions/{told['session_id']}/transcript.doc")).status_code == 422


async def test_a_client_that_knows_first_tells_the_status(web: Web) -> None:
    me, told = web.user(), finished()
    await me.post("/api/sessions/save", json=told)
    path = f"/api/sessions/{told['session_id']}"
    again = (await me.patch(path, json={"status": "in_progress"})).json()
    assert (again["status"], again["end_time"], again["duration_seconds"]) == ("in_progress", None, None)
    over = (await me.patch(path, json={"status": "completed"})).json()
    assert over["status"] == "completed"
    assert over["end_time"] > over["start_time"]
    refused = await me.patch(path, json={"status": "paused"})
    assert (refused.status_code, refused.json()["errors"][0]["field"]) == (422, "status")


async def test_staff_may_save_for_a_user(web: Web) -> None:
    user_id = uuid4()
    told = finished(user_id=str(user_id))
    assert (await web.admin().post("/api/sessions/save", json=told)).status_code == 201
    assert (await web.user(user_id).get(f"/api/sessions/{told['session_id']}")).status_code == 200


async def test_participants_as_clients_tell_them(web: Web) -> None:
    user_id, told = uuid4(), finished()
    me = web.user(user_id)
    await me.post("/api/sessions/save", json=told)
    sam = {"sessionId": told["session_id"], "userId": str(user_id), "name": "Sam"}
    joined = await me.post("/api/coaching/participants", json=sam)
    assert (joined.status_code, joined.json()["role"], joined.json()["leftAt"]) == (201, "student", None)
    assert (await me.post("/api/coaching/participants", json=sam)).status_code == 200  # is there already
    stay = {"participantId": joined.json()["participantId"]}
    left = [(await me.patch("/api/coaching/participants", json=stay)).json()["leftAt"] for _ in range(2)]
    assert left[0] is not None
    assert left[0] == left[1]
    assert (await me.post("/api/coaching/participants", json=sam)).status_code == 201  # a new stay
    listed = (await me.get("/api/coaching/participants", params={"sessionId": told["session_id"]})).json()
    assert [p["name"] for p in listed] == ["Sam", "Sam"]
    (line,) = (await me.get("/api/sessions")).json()["sessions"]
    assert line["participants"] == 1


@pytest.mark.parametrize(
    "bad",
    [
        token(uuid4(), secret="another secret of more than thirty-two bytes"),
        token(uuid4(), lasting=-60),
        token(" "),
        token(uuid4()).rsplit(".", 1)[0] + ".",
        "nonsense",
    ],
)
async def test_a_token_that_does_not_hold_is_refused(web: Web, bad: str) -> None:
    refused = await web.client(authorization=f"Bearer {bad}").get("/api/sessions")
    assert refused.status_code == 401
    assert refused.headers["www-authenticate"].startswith("Bearer")
    assert refused.headers["content-type"] == "application/problem+json"


async def test_health_and_metrics(web: Web) -> None:
    nobody = web.client()
    assert (await nobody.get("/health")).json() == {
        "status": "ok",
        "checks": {"database": {"ok": True, "reason": None}},
    }
    await nobody.get(f"/api/sessions/{uuid4()}")
    counted = (await nobody.get("/metrics")).text
    assert 'route="/api/sessions/{session_id}",status="401"' in counted


async def test_a_platforms_own_user_ids_are_the_same_person_everywhere(web: Web) -> None:
    told = finished()
    me = web.user("user_2abc")
    assert (await me.post("/api/sessions/save", json=told | {"user_id": "user_2abc"})).status_code == 201
    assert (await me.post("/api/sessions/save", json=told | {"user_id": "user_2abd"})).status_code == 403
    join = {"sessionId": told["session_id"], "userId": "user_2abc", "name": "Sam"}
    stay = (await me.post("/api/coaching/participants", json=join)).json()
    session = (await me.get(f"/api/sessions/{told['session_id']}")).json()
    assert stay["userId"] == session["user_id"] == str(user_id("user_2abc"))
    blank = await me.post("/api/coaching/participants", json=join | {"userId": " "})
    assert (blank.status_code, blank.json()["errors"][0]["field"]) == (422, "userId")


async def test_one_users_clients_save_so_many_new_sessions_an_hour_and_staff_as_many_as_they_like(
    web: Web, pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(quotas, "SAVED_AN_HOUR", 2)
    me, first = web.user(), finished()
    assert (await me.post("/api/sessions/save", json=first)).status_code == 201
    assert (await me.post("/api/sessions/save", json=finished())).status_code == 201
    refused = await me.post("/api/sessions/save", json=finished())
    assert (refused.status_code, refused.headers["retry-after"]) == (429, "600")
    assert (await me.post("/api/sessions/save", json=first)).status_code == 200  # what is there is no new one
    assert await pool.fetchval("select count(*) from sessions") == 2
    for _ in range(3):
        assert (await web.admin().post("/api/sessions/save", json=finished())).status_code == 201
    owner = uuid4()
    assert (
        await web.admin().post("/api/sessions/save", json=finished(user_id=str(owner)))
    ).status_code == 201
    proof = "select owner_proof from sessions where user_id = $1"
    assert await pool.fetchval(proof, owner) == "opened"  # staff's word is no claim of a client
