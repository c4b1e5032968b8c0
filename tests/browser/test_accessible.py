"""What axe finds wrong with the pages: nothing, light and dark, on a phone and on a wide screen."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from playwright.async_api import Page, expect

from agent.local.sfu import Sfu
from db import fleet
from db.pool import Pool
from tests.browser.people import Person, browsers
from tests.integration.under_way import report, three_under_way
from tests.integration.web_client import Web, finished, serving, token

AXE = Path(__file__).parents[2] / "node_modules/axe-core/axe.min.js"
LOOKS: list[dict[str, Any]] = [
    {"color_scheme": "light", "viewport": {"width": 1280, "height": 900}},
    {"color_scheme": "dark", "viewport": {"width": 390, "height": 844}},
]


@pytest.fixture
async def web(dsn: str, sfu: Sfu) -> AsyncIterator[Web]:
    async with serving(dsn, sfu) as running:
        yield running


async def violations(page: Page) -> list[str]:
    """Rule and place of each. As a tester's tool it comes in past the page's Content-Security-Policy."""
    await page.evaluate(AXE.read_text("utf-8"))
    found = await page.evaluate("axe.run()")
    assert len(found["passes"]) > 10
    return [f"{rule['id']}: {node['target']}" for rule in found["violations"] for node in rule["nodes"]]


async def fits(page: Page) -> bool:
    """Nothing sticks out to the side."""
    return bool(await page.evaluate("document.documentElement.scrollWidth <= innerWidth"))


async def enter_alone(person: Person) -> None:
    await person.page.get_by_label("Your name").fill(person.name)
    await person.page.get_by_role("button", name="Join the session").click()
    await expect(person.page.get_by_role("heading", level=1)).to_be_focused()
    await person.sees(person.name)


@pytest.mark.parametrize("look", LOOKS, ids=["light, wide", "dark, phone"])
async def test_pages_are_for_everybody(web: Web, tmp_path: Path, look: dict[str, Any]) -> None:
    user_id, told = uuid4(), finished()
    assert (await web.user(user_id).post("/api/sessions/save", json=told)).status_code == 201
    async with browsers(web, tmp_path) as opened:
        person = await opened.person("Sam", user_id, "/session-history", **look)
        page = person.page
        await expect(page.get_by_role("link", name="New session")).to_be_visible()
        found = {"list": await violations(page)}
        await page.get_by_role("link", name="college").click()
        await expect(page.get_by_role("heading", name="Conversation", exact=True)).to_be_visible()
        found["detail"] = await violations(page)
        await page.goto(f"{web.url}/video-session")
        await expect(page.locator("#microphone")).not_to_have_value("")
        await expect(page.get_by_role("button", name="Join the session")).to_be_enabled()
        found["lobby"] = await violations(page)
        assert await fits(page)
        await enter_alone(person)
        found["room"] = await violations(page)
        assert await fits(page)
        await page.get_by_text("Devices").click()
        await expect(page.locator("#microphone-now")).not_to_have_value("")
        found["devices"] = await violations(page)
        assert await fits(page)
        await page.keyboard.press("Escape")
        await page.get_by_role("button", name="End Session").click()
        await expect(page.get_by_role("dialog")).to_be_visible()
        found["confirmation"] = await violations(page)
        await page.keyboard.press("Escape")
        await expect(page.get_by_role("dialog")).to_be_hidden()
        await page.get_by_role("button", name="Leave", exact=True).click()
        await expect(page.get_by_role("heading", name="You have left")).to_be_focused()
        found["after"] = await violations(page)
        assert {place: wrong for place, wrong in found.items() if wrong} == {}
        assert person.wrong == []


@pytest.mark.parametrize("look", LOOKS, ids=["light, wide", "dark, phone"])
async def test_what_staff_see_is_for_everybody_too(
    web: Web, pool: Pool, tmp_path: Path, look: dict[str, Any]
) -> None:
    await three_under_way(pool)
    await fleet.beat(pool, "worker-a", 3, ready=True, report=report())
    async with browsers(web, tmp_path) as opened:
        person = await opened.person("Ada", uuid4(), "/admin", claims={"role": "admin"}, **look)
        page = person.page
        await expect(page.get_by_text("Told by a client only")).to_be_visible()
        assert await violations(page) == []
        assert await fits(page)
        await pool.execute("delete from sessions")
        await expect(page.get_by_text("No session is in progress.")).to_be_visible()  # by itself
        await page.get_by_role("button", name="Clean up now").click()
        await expect(page.get_by_text("There was nothing to clean up.")).to_be_visible()
        assert await violations(page) == []
        assert person.wrong == []


@pytest.mark.parametrize("claims", [{}, {"role": "admin"}], ids=["user", "staff"])
async def test_the_header_says_who_is_signed_in_on_one_line_of_a_phone(
    web: Web, tmp_path: Path, claims: dict[str, Any]
) -> None:
    async with browsers(web, tmp_path) as opened:
        named = claims | {"name": "Alexandra Fitzgerald-Montgomery of Somewhere"}
        phone: dict[str, Any] = {"viewport": {"width": 360, "height": 700}}
        person = await opened.person("Sam", uuid4(), "/session-history", claims=named, **phone)
        page = person.page
        await expect(page.locator(".who .name")).to_contain_text("Signed in as Alexandra")
        heights = [await page.locator(part).bounding_box() for part in (".brand", ".who .name")]
        assert all(box is not None and box["height"] < 30 for box in heights)
        assert await fits(page)
        somebody_else = token(uuid4(), name="Eve")
        await page.goto(f"{web.url}/sign-in?token={somebody_else}")
        await expect(page.get_by_role("button", name="Sign in as Eve")).to_be_visible()
        assert await violations(page) == []
        await page.get_by_role("button", name="Sign in as Eve").click()
        await expect(page.locator(".who .name")).to_contain_text("Eve")
        assert person.wrong == []


async def test_who_is_not_signed_in_comes_back_to_the_room(web: Web) -> None:
    where = f"/video-session?session={uuid4()}"
    answer = await web.client(accept="text/html").get(where, follow_redirects=False)
    assert answer.status_code == 303
    assert (
        answer.headers["location"]
        == f"/sign-in?next={where.replace('/', '%2F').replace('?', '%3F').replace('=', '%3D')}"
    )


async def test_the_room_page_may_call_livekit_and_nobody_else(web: Web, sfu: Sfu) -> None:
    reader = await web.reader(uuid4())
    policies = (await reader.get("/video-session")).headers
    host = sfu.url.removeprefix("ws://")
    assert f"connect-src 'self' ws://{host} http://{host};" in policies["content-security-policy"]
    assert "script-src 'self';" in policies["content-security-policy"]
    assert "microphone=(self)" in policies["permissions-policy"]
    elsewhere = (await reader.get("/session-history")).headers
    assert "connect-src 'self';" in elsewhere["content-security-policy"]
    assert "microphone=()" in elsewhere["permissions-policy"]


async def test_somebody_elses_room_is_not_found(web: Web) -> None:
    told = finished()
    assert (await web.user().post("/api/sessions/save", json=told)).status_code == 201
    other = await web.reader(uuid4())
    assert (await other.get("/video-session", params={"session": told["session_id"]})).status_code == 404
