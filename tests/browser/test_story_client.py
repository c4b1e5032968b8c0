"""A platform's own page in a real browser: its session is in the history, once, as it sent it."""

import asyncio
from collections.abc import AsyncIterator
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlencode
from uuid import UUID, uuid4

import pytest
from playwright.async_api import Page, Route, expect

from agent.local.postgres import EmbeddedPostgres
from agent.local.sfu import Sfu
from bench.stack import Stack, until
from db.pool import migrate
from tests.browser.people import PATIENCE, Browsers, browsers
from tests.integration.web_client import Web, serving
from web.pages.rendering import STATIC_PATH

pytestmark = pytest.mark.slow
CATEGORY = "college essay"
LINES = (("user", "I need help with my essay"), ("counselor", "Tell me what it is about"))
SCRIPT = (Path(__file__).parent / "story_client.js").read_text("utf-8")
# A page that playwright serves counts as one from the internet, which may not call a server on this machine.
LOCAL = "--disable-features=LocalNetworkAccessChecks"
PAGE = f"""<!doctype html><title>Session</title><button>End Session</button><output></output>
<script src="{STATIC_PATH}/livekit-client.js"></script><script>{SCRIPT}</script>"""


class Client:
    """Somebody at the platform's own page, which the web part's origin serves."""

    def __init__(self, web: Web, page: Page, user_id: UUID, mode: str) -> None:
        self.web, self.page, self.user_id, self.mode = web, page, user_id, mode
        self.session_id = ""

    @classmethod
    async def connecting(cls, web: Web, opened: Browsers, mode: str = "video") -> "Client":
        user_id = uuid4()
        opened.cameras["Sam"] = [LOCAL]
        page = (await opened.person("Sam", user_id, "/session-history")).page
        await page.route("**/story-client?*", _serve)
        page.on("dialog", lambda dialog: asyncio.ensure_future(dialog.accept()))  # "Leave site?"
        query = {"name": "Sam", "user": user_id, "category": CATEGORY, "mode": mode, "every": 500}
        await page.goto(f"{web.url}/story-client?{urlencode(query)}")
        client = cls(web, page, user_id, mode)
        await client.logged("connected")
        client.session_id = await page.evaluate("session.id")
        return client

    async def logged(self, what: str, times: int = 1) -> None:
        await self.page.wait_for_function(
            "([what, times]) => log.filter(line => line.startsWith(what)).length >= times",
            arg=[what, times],
            timeout=PATIENCE,
        )

    async def talk(self) -> None:
        """Words that the page heard by itself, and some readings."""
        for speaker, text in LINES:
            await self.page.evaluate(
                "detail => dispatchEvent(new CustomEvent('transcript', { detail }))",
                {"speaker": speaker, "text": text},
            )
        await self.logged("measured", 3)

    async def end(self) -> None:
        await self.page.get_by_role("button", name="End Session").click()

    async def in_history(self) -> dict[str, Any]:
        """The one session of this user, as the API has it; the page lists it once, too."""
        me = self.web.user(self.user_id)
        (line,) = (await me.get("/api/sessions")).json()["sessions"]
        assert line["session_id"] == self.session_id
        assert (line["mode"], line["counselor_category"]) == (self.mode, CATEGORY)
        reader = await self.web.reader(self.user_id)
        listed = (await reader.get("/session-history")).text
        assert listed.count(f'href="/session-history/{self.session_id}"') == 1
        assert "College essay" in listed
        detail: dict[str, Any] = (await me.get(f"/api/sessions/{self.session_id}")).json()
        figures = detail["quality_metrics"]
        for name in ("average_bitrate", "average_fps", "packet_loss_percentage", "total_readings"):
            assert figures[name] is None or isinstance(figures[name], int | float), name
        assert figures["total_readings"] > 0
        return detail

    def stays(self, detail: dict[str, Any]) -> list[dict[str, Any]]:
        return [stay for stay in detail["participants"] if stay["userId"] == str(self.user_id)]


async def _serve(route: Route) -> None:
    await route.fulfill(content_type="text/html", body=PAGE)


@pytest.fixture
async def unrecorded(dsn: str, sfu_of_its_own: Sfu, tmp_path: Path) -> AsyncIterator[tuple[Web, Browsers]]:
    """Rooms that no recorder sees."""
    async with serving(dsn, sfu_of_its_own) as web, browsers(web, tmp_path) as opened:
        yield web, opened


def is_told_by_the_client(detail: dict[str, Any]) -> None:
    assert detail["status"] == "completed"
    assert [(line["speaker"], line["text"]) for line in detail["transcript"]] == list(LINES)
    assert detail["quality_metrics"]["source"] == "client"
    assert detail["quality_metrics"]["average_bitrate"] > 0


def was_there_once(stays: list[dict[str, Any]]) -> None:
    """The recorder's stay and the client's word for it are one."""
    assert [(stay["recorded"], stay["leftAt"] is not None) for stay in stays] == [(True, True)]


@pytest.mark.parametrize("mode", ["video", "voice"])
async def test_a_session_with_a_recorder_is_one_record(stack: Stack, tmp_path: Path, mode: str) -> None:
    async with serving(stack.dsn, stack.sfu) as web, browsers(web, tmp_path) as opened:
        client = await Client.connecting(web, opened, mode)
        await until(lambda: stack.hears(f"coaching-{client.session_id}", 1))
        await client.talk()
        await client.end()
        await expect(client.page.locator("output")).to_have_text(
            f"Session saved to your history ({client.session_id})"
        )
        assert (await client.page.evaluate("session.answer"))["mode"] == mode
        await client.logged("left")
        record = await stack.completed(f"coaching-{client.session_id}")
        detail = await client.in_history()
        assert record["end_reason"] in ("room_empty", "room_closed")
        assert "source" not in detail["quality_metrics"]  # the recorder's own
        was_there_once(client.stays(detail))


async def test_a_tab_that_closes_beside_a_recorder_leaves_one_record(stack: Stack, tmp_path: Path) -> None:
    async with serving(stack.dsn, stack.sfu) as web, browsers(web, tmp_path) as opened:
        client = await Client.connecting(web, opened)
        await until(lambda: stack.hears(f"coaching-{client.session_id}", 1))
        await client.talk()
        await client.page.close(run_before_unload=True)
        await stack.completed(f"coaching-{client.session_id}")
        detail = await client.in_history()
        assert "source" not in detail["quality_metrics"]
        was_there_once(client.stays(detail))


async def test_a_session_without_a_recorder_is_what_its_client_tells(
    unrecorded: tuple[Web, Browsers],
) -> None:
    web, opened = unrecorded
    client = await Client.connecting(web, opened)
    going_on = (await web.user(client.user_id).get(f"/api/sessions/{client.session_id}")).json()
    connected = await client.page.evaluate("session.connected.toISOString()")
    assert going_on["status"] == "in_progress"
    assert datetime.fromisoformat(going_on["start_time"]) == datetime.fromisoformat(connected)
    await client.talk()
    await client.end()
    await client.logged("left")
    detail = await client.in_history()
    is_told_by_the_client(detail)
    began, ended = (datetime.fromisoformat(detail[key]) for key in ("start_time", "end_time"))
    assert detail["duration_seconds"] == int((ended - began).total_seconds())
    assert began <= datetime.fromisoformat(connected)  # the page opened before it was connected
    (stay,) = client.stays(detail)
    assert (stay["name"], stay["recorded"]) == ("Sam", False)
    assert stay["leftAt"] is not None


async def test_a_save_that_fails_is_tried_again_and_arrives(
    postgres_of_its_own: EmbeddedPostgres, sfu_of_its_own: Sfu, tmp_path: Path
) -> None:
    postgres = postgres_of_its_own
    await migrate(postgres.dsn)
    async with serving(postgres.dsn, sfu_of_its_own) as web, browsers(web, tmp_path) as opened:
        client = await Client.connecting(web, opened)
        await client.talk()
        postgres.stop()
        await client.end()
        await client.logged("failed: answer 503")
        await asyncio.to_thread(postgres.start)
        await client.logged("saved")
        await client.logged("left")
        detail = await client.in_history()
        is_told_by_the_client(detail)
        assert len(client.stays(detail)) == 1


async def test_a_tab_that_closes_saves_its_session_by_a_beacon(unrecorded: tuple[Web, Browsers]) -> None:
    web, opened = unrecorded
    client = await Client.connecting(web, opened)
    await client.talk()
    me = web.user(client.user_id)

    async def is_over() -> bool:
        told = (await me.get(f"/api/sessions/{client.session_id}")).json()
        return bool(told["transcript"])

    await client.page.close(run_before_unload=True)
    await until(is_over)
    is_told_by_the_client(await client.in_history())
