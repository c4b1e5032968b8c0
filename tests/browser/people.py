"""People with browsers."""

from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

import psutil
from playwright.async_api import Page, Playwright, async_playwright, expect

from bench.speech import sentence
from tests.browser.chromium import FLAGS, find_chromium, speaking
from tests.integration.web_client import Web, token

PATIENCE = 90_000.0  # ms for what a page shows; machines are slow sometimes
expect.set_options(timeout=PATIENCE)


@dataclass
class Person:
    """Somebody in front of a page, and what went wrong in it. `voice`: flags that only their browser has."""

    page: Page
    name: str
    wrong: list[str]
    voice: list[str]

    async def join(self) -> None:
        await self.page.get_by_label("Your name").fill(self.name)
        await self.page.get_by_role("button", name="Join the session").click()
        await expect(self.page.get_by_role("heading", level=1)).to_be_focused()
        await expect(self.page.get_by_text("Recording", exact=True)).to_be_visible()

    async def sees(self, name: str) -> None:
        """A picture that moves, not only a name."""
        tile = self.page.get_by_role("listitem").filter(has_text=name)
        await expect(tile).to_be_visible()
        await expect(tile.locator("video")).to_be_visible()
        await self.page.wait_for_function(
            "name => [...document.querySelectorAll('.tile')].some(tile => tile.textContent.includes(name)"
            " && tile.querySelector('video')?.videoWidth > 0 && tile.querySelector('video').currentTime > 0)",
            arg=name,
            timeout=PATIENCE,
        )

    @contextmanager
    def unreachable(self) -> Iterator[None]:
        """Their machine says nothing any more, as without a network or with its lid closed."""
        own = next(p for p in psutil.process_iter() if set(self.voice) <= set(_flags(p)))
        everything = [own, *own.children(recursive=True)]
        for process in everything:
            process.suspend()
        try:
            yield
        finally:
            for process in everything:
                process.resume()

    @property
    def session_id(self) -> UUID:
        """After joining, the page's address names it."""
        return UUID(self.page.url.rpartition("session=")[2])


class Browsers:
    """One browser for each person: a browser has one microphone."""

    def __init__(self, playwright: Playwright, web: Web, folder: Path, closing: AsyncExitStack) -> None:
        self._playwright, self._web, self._folder, self._closing = playwright, web, folder, closing
        self.cameras: dict[str, list[str]] = {}  # flags by name; without any, a test picture

    async def person(
        self,
        name: str,
        user_id: UUID,
        at: str,
        *,
        says: str = "",
        claims: dict[str, Any] | None = None,
        **look: Any,
    ) -> Person:
        """Somebody who is signed in and looks at a page; `says` is the number of a sentence."""
        voice = speaking(self._folder / f"{name}.wav", sentence(says)) if says else []
        browser = await self._playwright.chromium.launch(
            executable_path=find_chromium(),
            args=[*FLAGS, *voice, *self.cameras.get(name, [])],
            timeout=PATIENCE,
        )
        self._closing.push_async_callback(browser.close)
        context = await browser.new_context(**look)
        page = await context.new_page()
        page.set_default_timeout(PATIENCE)
        wrong: list[str] = []
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("console", lambda line: wrong.append(line.text) if line.type == "error" else None)
        page.on(
            "request", lambda request: wrong.append(request.url) if self._elsewhere(request.url) else None
        )
        await context.request.get(
            f"{self._web.url}/sign-in", params={"token": token(user_id, **(claims or {}))}
        )
        await page.goto(f"{self._web.url}{at}")
        return Person(page, name, wrong, voice)

    def _elsewhere(self, url: str) -> bool:
        return not url.startswith((self._web.url, "ws://127.0.0.1", "http://127.0.0.1", "blob:", "data:"))


def _flags(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.Error:
        return []  # gone meanwhile


@asynccontextmanager
async def browsers(web: Web, folder: Path) -> AsyncIterator[Browsers]:
    async with async_playwright() as playwright, AsyncExitStack() as closing:
        yield Browsers(playwright, web, folder, closing)
