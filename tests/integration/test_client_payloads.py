"""What real clients send: figures as text, beacons without a type, blank lines, fields of their own."""

import json
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import httpx2
import pytest

from agent.recorder import Recorder
from db.pool import Pool
from tests.integration.test_web_merging import begin, end, measure, recorder_of
from tests.integration.web_client import TEN, Web, finished, token

# As a page makes it: `toFixed(2)`, `toISOString()`, `Math.floor` of the seconds between.
FIGURES = {
    "average_bitrate": "812.50",
    "average_fps": "24.10",
    "packet_loss_percentage": "0.42",
    "connection_quality_average": "good",
    "total_readings": 142,
}
LINE = {"speaker": "user", "text": "I need help", "timestamp": "2026-03-01T10:00:12.042Z"}


def of_a_page(session_id: UUID | None = None, **more: Any) -> dict[str, Any]:
    """The whole payload of a page in a browser."""
    return {
        "session_id": str(session_id or uuid4()),
        "counselor_category": "d0703b74-5df5-4d5e-9a5e-0d9f1c2b3a44",
        "mode": "video",
        "start_time": "2026-03-01T10:00:00.123Z",
        "end_time": "2026-03-01T10:23:45.987Z",
        "duration_seconds": 1425,
        "transcript": [LINE, {**LINE, "speaker": "counselor", "text": "Tell me more"}],
        "quality_metrics": FIGURES,
        **more,
    }


async def saved(me: httpx2.AsyncClient, **more: Any) -> dict[str, Any]:
    """The detail of a session that was saved with this in it."""
    told = of_a_page(**more)
    answer = await me.post("/api/v1/sessions/save", json=told)
    assert answer.status_code == 201, answer.text
    detail: dict[str, Any] = (await me.get(f"/api/sessions/{told['session_id']}")).json()
    return detail


async def test_figures_as_text_are_stored_as_numbers(web: Web) -> None:
    me, told = web.user(), of_a_page()
    answer = await me.post("/api/v1/sessions/save", json=told)
    assert (answer.status_code, answer.json()) == (
        201,
        {
            "message": "Session saved to your history",
            "session_id": told["session_id"],
            "mode": "video",
            "created": True,
        },
    )
    detail = (await me.get(f"/api/sessions/{told['session_id']}")).json()
    (listed,) = (await me.get("/api/sessions")).json()["sessions"]
    for shown in (detail, listed):
        assert shown["quality_metrics"] == {
            "average_bitrate": 812.5,
            "average_fps": 24.1,
            "packet_loss_percentage": 0.42,
            "connection_quality_average": "good",
            "total_readings": 142,
            "source": "client",
        }
        assert shown["duration_seconds"] == 1425


@pytest.mark.parametrize(
    ("figures", "stored"),
    [
        ({"packet_loss_percentage": "133.33"}, {"packet_loss_percentage": 100}),
        ({"packet_loss_percentage": 200}, {"packet_loss_percentage": 100}),
        ({"average_bitrate": " 12.5 "}, {"average_bitrate": 12.5}),
        ({"average_bitrate": "-0.00"}, {"average_bitrate": 0}),
        ({"average_fps": "2.4e1"}, {"average_fps": 24}),
        ({"average_fps": None, "total_readings": "142"}, {"total_readings": 142}),
        ({"connection_quality_average": "GOOD"}, {"connection_quality_average": "good"}),
        ({"connection_quality_average": "unknown"}, {"connection_quality_average": "unknown"}),
        ({"connection_quality_average": "lost"}, {"connection_quality_average": "poor"}),
        ({"average_fps": 1, "jitter": "x" * 100_000, "more": {"a": [1]}}, {"average_fps": 1}),
    ],
)
async def test_what_a_figure_may_look_like(web: Web, figures: dict[str, Any], stored: dict[str, Any]) -> None:
    detail = await saved(web.user(), quality_metrics=figures)
    assert detail["quality_metrics"] == {**stored, "source": "client"}


@pytest.mark.parametrize("figures", [None, {}, {"average_fps": None}, {"jitter": 3}])
async def test_no_figures_are_no_figures(web: Web, figures: Any) -> None:
    assert (await saved(web.user(), quality_metrics=figures))["quality_metrics"] == {}


async def test_half_a_letter_costs_that_half_and_not_the_session(web: Web) -> None:
    half = "A picture \ud83d"  # as `slice` leaves it of one that ends in a smiley
    me, session_id = web.user(), str(uuid4())
    body = finished(UUID(session_id), transcript=[{**LINE, "text": half}], counselor_category=half)
    response = await me.post("/api/sessions/save", content=json.dumps(body))
    assert response.status_code == 201, response.text
    detail = (await me.get(f"/api/sessions/{session_id}")).json()
    assert detail["transcript"][0]["text"] == "A picture"
    assert detail["counselor_category"] == "A picture"
    told = json.dumps({"sessionId": session_id, "userId": str(uuid4()), "name": half})
    joined = await me.post("/api/coaching/participants", content=told)
    assert (joined.status_code, joined.json()["name"]) == (201, "A picture ")


async def test_a_language_is_as_browsers_name_it_and_no_language_costs_no_session(web: Web) -> None:
    tags = {
        "en": "en",
        "en-US": "en",
        "pt_BR": "pt",
        "yue-Hant": "yue",
        "": None,
        "English": None,
        "??": None,
    }
    detail = await saved(
        web.user(), transcript=[{**LINE, "text": tag + "!", "language": tag} for tag in tags]
    )
    told = {entry["text"].removesuffix("!"): entry.get("language") for entry in detail["transcript"]}
    assert told == tags


async def test_a_name_may_be_unknown(web: Web) -> None:
    me = web.user()
    detail = await saved(me)
    told = {"sessionId": detail["session_id"], "userId": detail["user_id"], "name": None}
    joined = await me.post("/api/coaching/participants", json=told)
    assert (joined.status_code, joined.json()["name"], joined.json()["role"]) == (201, "", "student")


async def test_what_is_missing_or_new_does_not_keep_a_session_from_being_saved(web: Web) -> None:
    me = web.user()
    cases: list[dict[str, Any]] = [
        {"duration_seconds": "1425"},
        {"duration_seconds": 1425.0},
        {"duration_seconds": "1425.86"},
        {"duration_seconds": None},
        {"counselor_category": ""},
        {"counselor_category": None},
        {"counselor_category": 17},
        {"transcript": None},
        {"transcript": []},
        {"quality_metrics": None},
        {"start_time": "2026-03-01T10:00:00", "end_time": "2026-03-01T10:23:45.5"},  # without a zone: UTC
        {"title": "Essay", "userAgent": "x"},
    ]
    for more in cases:
        detail = await saved(me, **more)
        assert (detail["status"], detail["duration_seconds"]) == ("completed", 1425), more
        has_category = more.get("counselor_category", "told")
        assert (detail["counselor_category"] is not None) == bool(has_category), more


async def test_blank_lines_are_dropped_and_speakers_go_by_the_names_clients_have_for_them(web: Web) -> None:
    lines = [
        {**LINE, "speaker": who} for who in ("User", "student", "coach", "assistant", "agent", "participant")
    ]
    blank = [{**LINE, "text": text} for text in ("", "   ", "\0 \n")]
    detail = await saved(web.user(), transcript=[*blank, *lines, *blank])
    assert [entry["speaker"] for entry in detail["transcript"]] == [
        "user",
        "user",
        "counselor",
        "counselor",
        "counselor",
        "participant",
    ]


async def test_a_later_save_brings_the_clients_figures_up_to_date_and_never_the_recorders(
    web: Web, pool: Pool, tmp_path: Any
) -> None:
    user_id, session_id = uuid4(), uuid4()
    me = web.user(user_id)
    for readings in (5, 142):
        body = of_a_page(session_id, quality_metrics={**FIGURES, "total_readings": readings})
        assert (await me.post("/api/sessions/save", json=body)).is_success
        detail = (await me.get(f"/api/sessions/{session_id}")).json()
        assert detail["quality_metrics"]["total_readings"] == readings
    recorder: Recorder = recorder_of(session_id, user_id, pool, tmp_path)
    begin(recorder)
    measure(recorder)
    end(recorder)
    await recorder.close()
    assert (await me.post("/api/sessions/save", json=of_a_page(session_id))).status_code == 200
    figures = (await me.get(f"/api/sessions/{session_id}")).json()["quality_metrics"]
    assert (figures["average_fps"], figures["total_readings"]) == (15, 1)
    assert "source" not in figures


TYPES = ["text/plain;charset=UTF-8", "application/x-www-form-urlencoded", "application/octet-stream", None]


@pytest.mark.parametrize("media", TYPES)
async def test_json_is_taken_whatever_its_type_says(web: Web, media: str | None) -> None:
    user_id = uuid4()
    me, session_id = web.user(user_id), str(uuid4())
    headers = {"content-type": media} if media else {}

    async def send(method: str, path: str, body: Any) -> int:
        request = me.build_request(method, path, content=json.dumps(body).encode(), headers=headers)
        if media is None:
            request.headers.pop("content-type", None)
        return (await me.send(request)).status_code

    assert await send("POST", "/api/sessions/save", of_a_page(UUID(session_id))) == 201
    assert await send("PATCH", f"/api/sessions/{session_id}", {"status": "completed"}) == 200
    joined = {"sessionId": session_id, "userId": str(user_id), "name": "Sam"}
    assert await send("POST", "/api/coaching/participants", joined) == 201
    stay = (await me.get(f"/api/coaching/participants?sessionId={session_id}")).json()[0]
    left = {"participantId": stay["participantId"]}
    assert await send("PATCH", "/api/coaching/participants", left) == 200


async def test_a_beacon_counts_from_our_own_page_and_not_from_another_sites(web: Web, pool: Pool) -> None:
    reader = await web.reader(uuid4())
    body = json.dumps(of_a_page()).encode()
    text = {"content-type": "text/plain;charset=UTF-8"}
    for elsewhere in (
        {"origin": "https://evil.example", "sec-fetch-site": "cross-site"},
        {"origin": "null", "sec-fetch-site": "cross-site"},
        {},
    ):
        refused = await reader.post("/api/sessions/save", content=body, headers={**text, **elsewhere})
        assert refused.status_code == 403
    assert await pool.fetchval("select count(*) from sessions") == 0
    ours = {**text, "origin": web.url, "sec-fetch-site": "same-origin"}
    assert (await reader.post("/api/sessions/save", content=body, headers=ours)).status_code == 201


async def opened(pool: Pool, user_id: UUID) -> str:
    """A session as `POST /api/sessions` opens it, a minute ago."""
    session_id = uuid4()
    await pool.execute(
        "insert into sessions (session_id, room_name, user_id, mode, status, start_time)"
        " values ($1, $2, $3, 'video', 'in_progress', now() - interval '1 minute')",
        session_id,
        f"coaching-{session_id}",
        user_id,
    )
    return f"/api/sessions/{session_id}"


def times(answer: httpx2.Response) -> tuple[str, str, str | None, int | None]:
    assert answer.status_code == 200, answer.text
    told = answer.json()
    return told["status"], told["start_time"], told["end_time"], told["duration_seconds"]


async def test_a_client_tells_when_a_session_began_and_ended(web: Web, pool: Pool) -> None:
    user_id = uuid4()
    me, path = web.user(user_id), await opened(pool, user_id)
    began, ended = "2026-03-01T10:00:00.500000Z", "2026-03-01T10:23:45.900000Z"
    going_on = await me.patch(path, json={"status": "in_progress", "started_at": began})
    assert times(going_on) == ("in_progress", began, None, None)
    over = {"status": "completed", "ended_at": ended, "duration_seconds": 1425}
    for _ in range(2):  # repeated, as clients do
        assert times(await me.patch(path, json=over)) == ("completed", began, ended, 1425)
    # Somebody comes back: it is the same session, from its first beginning to its last end.
    again = {"status": "in_progress", "started_at": "2026-03-01T10:30:00Z"}
    assert times(await me.patch(path, json=again)) == ("in_progress", began, None, None)
    later = "2026-03-01T10:40:00Z"
    end = await me.patch(path, json={"status": "completed", "ended_at": later, "duration_seconds": "600"})
    assert times(end) == ("completed", began, later, 2399)


async def test_a_duration_alone_is_enough(web: Web, pool: Pool) -> None:
    user_id = uuid4()
    me = web.user(user_id)
    both = {"status": "completed", "ended_at": "2026-03-01T10:23:45Z", "duration_seconds": 1425}
    assert times(await me.patch(await opened(pool, user_id), json=both)) == (
        "completed",
        "2026-03-01T10:00:00Z",
        "2026-03-01T10:23:45Z",
        1425,
    )
    path = await opened(pool, user_id)
    alone = times(await me.patch(path, json={"status": "completed", "duration_seconds": 30}))
    assert (alone[0], alone[3]) == ("completed", 30)
    neither = times(await me.patch(await opened(pool, user_id), json={"status": "completed"}))
    assert 60 <= (neither[3] or 0) < 120


async def test_an_end_before_the_start_is_refused_where_both_are_told_and_else_is_the_start(
    web: Web, pool: Pool
) -> None:
    user_id = uuid4()
    me, path = web.user(user_id), await opened(pool, user_id)
    began = "2026-03-01T10:00:00Z"
    for wrong, field in (
        ({"started_at": began, "ended_at": "2026-03-01T09:00:00Z"}, "ended_at"),
        (
            {"started_at": began, "ended_at": "2026-03-01T11:00:00Z", "duration_seconds": 5},
            "duration_seconds",
        ),
        ({"ended_at": "soon"}, "ended_at"),
        ({"started_at": 5}, "started_at"),
        ({"duration_seconds": -1}, "duration_seconds"),
        ({"duration_seconds": "1e9"}, "duration_seconds"),
    ):
        refused = await me.patch(path, json={"status": "completed", **wrong})
        assert (refused.status_code, field in refused.json()["detail"]) == (422, True)
    await me.patch(path, json={"status": "in_progress", "started_at": began})
    ended = await me.patch(path, json={"status": "completed", "ended_at": "2026-03-01T09:00:00Z"})
    assert times(ended) == ("completed", began, began, 0)
    far = await me.patch(path, json={"status": "completed", "ended_at": "2099-01-01T00:00:00Z"})
    assert times(far)[3] == 7 * 24 * 3600


async def test_what_a_recorder_saw_is_not_for_a_client_to_change(web: Web, pool: Pool, tmp_path: Any) -> None:
    user_id, session_id = uuid4(), uuid4()
    recorder = recorder_of(session_id, user_id, pool, tmp_path)
    begin(recorder)
    await recorder.save()
    told = {
        "status": "completed",
        "started_at": "2020-01-01T00:00:00Z",
        "ended_at": "2020-01-01T01:00:00Z",
        "duration_seconds": 3600,
    }
    path = f"/api/sessions/{session_id}"
    answer = await web.user(user_id).patch(path, json=told)
    assert (answer.status_code, answer.json()["status"]) == (200, "in_progress")
    assert datetime.fromisoformat(answer.json()["start_time"]) == TEN
    end(recorder)
    await recorder.close()
    after = times(await web.user(user_id).patch(path, json=told))
    assert datetime.fromisoformat(after[1]) == TEN
    assert datetime.fromisoformat(after[2] or "") == TEN + timedelta(seconds=60)
    assert after[3] == 60


async def test_a_save_of_an_unknown_session_tells_its_mode(web: Web) -> None:
    answer = await web.user().post("/api/sessions/save", json=finished(mode="voice"))
    assert answer.json()["mode"] == "voice"


async def test_a_platforms_own_user_ids_are_taken_where_its_tokens_have_them(web: Web) -> None:
    sam = "user_2abc"
    me = web.client(authorization=f"Bearer {token(sam)}")
    detail = await saved(me, user_id=sam)
    joined = {"sessionId": detail["session_id"], "userId": sam, "name": "Sam"}
    answer = await me.post("/api/coaching/participants", json=joined)
    assert (answer.status_code, answer.json()["userId"]) == (201, detail["user_id"])
    for wrong in ("", "  ", "x" * 257, None, 7):
        refused = await me.post("/api/coaching/participants", json=joined | {"userId": wrong})
        assert (refused.status_code, refused.json()["errors"][0]["field"]) == (422, "userId")
    somebody = await me.post("/api/sessions/save", json=of_a_page(user_id="user_3def"))
    assert (somebody.status_code, somebody.json()["errors"][0]["field"]) == (403, "user_id")
