"""A session's page and its line in the list tell one truth."""

import re
from typing import Any
from uuid import UUID, uuid4

import pytest

from agent.local.sfu import Sfu
from db.pool import Pool
from tests.integration.test_web_merging import begin, end, measure, recorder_of
from tests.integration.web_client import Web, finished, serving

CATEGORY = "d0703b74-5df5-4d5e-9a5e-0d9f1c2b3a44"
FIGURES = {
    "average_bitrate": "812.50",
    "average_fps": "0.00",
    "packet_loss_percentage": "0.42",
    "connection_quality_average": "good",
    "total_readings": 142,
}


async def pages(web: Web, user_id: UUID, session_id: str) -> tuple[str, str]:
    """The list and the session, as text without tags."""
    reader = await web.reader(user_id)
    found = [await reader.get(path) for path in ("/session-history", f"/session-history/{session_id}")]
    assert [answer.status_code for answer in found] == [200, 200]
    listed, detail = (re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", answer.text)) for answer in found)
    return listed, detail


async def saved(web: Web, **more: Any) -> tuple[UUID, str]:
    user_id, told = uuid4(), finished(**more)
    assert (await web.user(user_id).post("/api/sessions/save", json=told)).status_code == 201
    return user_id, told["session_id"]


@pytest.mark.parametrize(
    ("mode", "figures"),
    [("voice", "813 kbit/s · 0.4 % lost"), ("video", "813 kbit/s · 0 fps · 0.4 % lost")],
)
async def test_a_clients_figures_are_said_to_be_the_clients_in_every_place(
    web: Web, mode: str, figures: str
) -> None:
    listed, detail = await pages(web, *await saved(web, mode=mode, quality_metrics=FIGURES))
    for text in (listed, detail):
        assert f"Good {figures} · told by the client" in text
    assert "The figures of this call are what its client told; no recorder measured it." in detail
    assert "was not measured" not in detail


async def test_without_any_figures_a_call_was_not_measured(web: Web) -> None:
    listed, detail = await pages(web, *await saved(web))
    assert "Not rated" in listed
    assert "The quality of this call was not measured." in detail
    assert "told by the client" not in listed + detail


async def test_figures_that_a_recorder_measured_are_nobodys_word(web: Web, pool: Pool, tmp_path: Any) -> None:
    user_id, session_id = uuid4(), uuid4()
    recorder = recorder_of(session_id, user_id, pool, tmp_path)
    begin(recorder)
    measure(recorder)
    end(recorder)
    await recorder.close()
    body = finished(session_id, quality_metrics=FIGURES)
    assert (await web.user(user_id).post("/api/sessions/save", json=body)).status_code == 200
    listed, detail = await pages(web, user_id, str(session_id))
    assert "500 kbit/s · 15 fps" in listed
    assert "told by the client" not in listed + detail
    await pool.execute("delete from quality_readings")
    _, without = await pages(web, user_id, str(session_id))
    assert "The single readings of this call are not kept." in without


async def test_an_id_is_no_title_on_any_page_and_a_name_for_it_is(dsn: str, pool: Pool) -> None:
    for names, title in (
        ({}, "Coaching session"),
        ({CATEGORY: "College applications"}, "College applications"),
    ):
        async with serving(dsn, web_category_names=names) as web:
            user_id, session_id = await saved(web, counselor_category=CATEGORY)
            for text in await pages(web, user_id, session_id):
                assert title in text
                assert "D0703b74" not in text
            staff = await web.reader(uuid4(), role="admin")
            await pool.execute("update sessions set status = 'in_progress'")
            admin = (await staff.get("/admin")).text
            assert title in admin
            assert "D0703b74" not in admin
            assert (await web.user(user_id).get(f"/api/sessions/{session_id}")).json()[
                "counselor_category"
            ] == CATEGORY
            await pool.execute("delete from sessions")


async def test_of_more_people_than_a_page_can_show_it_says_how_many_there_are(web: Web) -> None:
    line = finished()["transcript"][0]
    lines = [{**line, "identity": f"guest-{n}", "text": f"I am number {n}."} for n in range(100)]
    _, detail = await pages(web, *await saved(web, transcript=lines))
    assert detail.count("and 76 more") == 2  # who spoke, and the lanes
    assert "I am number 99." in detail


async def test_the_list_leads_to_each_sessions_words(web: Web) -> None:
    user_id, session_id = await saved(web)
    reader = await web.reader(user_id)
    listed = (await reader.get("/session-history")).text
    (words,) = re.findall(r'<a class="transcript" href="([^"]*)"[^>]*>View Transcript</a>', listed)
    assert words == f"/session-history/{session_id}#words"
    detail = (await reader.get(words)).text
    assert "I want to study biology." in detail.partition('id="words"')[2]


@pytest.mark.parametrize("mode", ["video", "voice"])
async def test_the_list_tells_a_sessions_kind_length_people_and_quality(web: Web, mode: str) -> None:
    user_id, session_id = await saved(web, mode=mode, quality_metrics=FIGURES)
    who = {"sessionId": session_id, "userId": str(user_id), "name": "Sam"}
    assert (await web.user(user_id).post("/api/coaching/participants", json=who)).status_code == 201
    listed = (await (await web.reader(user_id)).get("/session-history")).text
    icon = f'aria-label="{mode.capitalize()} session"><use href="#i-{mode}"/>'
    for told in (icon, "College", "23m 45s", "1<span", "813 kbit/s"):
        assert told in listed, told


async def test_a_platforms_link_to_a_room_names_the_session_and_its_category(dsn: str, sfu: Sfu) -> None:
    async with serving(dsn, sfu) as web:
        user_id, session_id = await saved(web)
        reader = await web.reader(user_id)
        room = (await reader.get("/video-session", params={"session_id": session_id})).text
        assert f'data-room="coaching-{session_id}"' in room
        new = (await reader.get("/video-session", params={"category": 'college "essay"'})).text
        assert 'value="college &#34;essay&#34;"' in new
