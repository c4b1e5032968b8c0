"""The example of docs/examples/fetch in a real browser, from an origin of its own."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any
from uuid import UUID

import pytest
from playwright.async_api import Page, async_playwright, expect

from tests.browser.chromium import FLAGS, find_chromium
from tests.browser.people import PATIENCE
from tests.integration.web_client import finished, serving, token

EXAMPLE = Path(__file__).parents[2] / "docs" / "examples" / "fetch"
SAM = UUID("5b1e0a3c-93a1-4f0a-8c51-0e9f2c3d4e5f")
SAVE = """async ([api, token, body]) => {
    const { call } = await import("./sessions.js");
    return call(api, "/api/sessions/save", { token, method: "POST", body }).then(
        (answer) => answer.message, (error) => error.message);
}"""


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002
        pass


@pytest.fixture
def platform() -> Iterator[str]:
    """A platform's page, on a port of its own: the same site as ours, another origin."""
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(EXAMPLE))) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@asynccontextmanager
async def browser_page() -> AsyncIterator[Page]:
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=find_chromium(), args=FLAGS, timeout=PATIENCE
        )
        page = await browser.new_page()
        page.set_default_timeout(PATIENCE)
        yield page
        await browser.close()


async def test_the_platforms_page_saves_and_lists_with_a_token(dsn: str, platform: str) -> None:
    async with serving(dsn, web_allowed_origins=platform) as web, browser_page() as page:
        await page.goto(f"{platform}/?api={web.url}#{token(SAM)}")
        assert await page.evaluate(SAVE, [web.url, token(SAM), finished()]) == "Session saved to your history"
        await page.reload()
        await expect(page.get_by_text("college, 1425 s")).to_be_visible()


async def test_the_platforms_page_saves_with_the_cookie_of_its_site(dsn: str, platform: str) -> None:
    settings: dict[str, Any] = {"web_allowed_origins": platform, "web_cookie_name": "platform_session"}
    async with serving(dsn, **settings) as web, browser_page() as page:
        await page.context.add_cookies(
            [{"name": "platform_session", "value": token(SAM), "url": platform, "sameSite": "Lax"}]
        )
        await page.goto(f"{platform}/?api={web.url}")
        assert await page.evaluate(SAVE, [web.url, "", finished()]) == "Session saved to your history"
        await page.reload()
        await expect(page.get_by_text("college, 1425 s")).to_be_visible()


async def test_a_page_that_is_not_named_is_kept_out_by_the_browser(dsn: str, platform: str) -> None:
    async with serving(dsn, web_allowed_origins="https://app.example.org") as web, browser_page() as page:
        await page.goto(f"{platform}/?api={web.url}#{token(SAM)}")
        await expect(page.get_by_role("alert")).to_have_text("Failed to fetch")
        assert await page.evaluate(SAVE, [web.url, token(SAM), finished()]) == "Failed to fetch"
        assert (await web.user(SAM).get("/api/sessions")).json()["sessions"] == []
