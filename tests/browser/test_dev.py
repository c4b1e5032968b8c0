"""`python -m agent dev`: two windows with the links that it prints hold a session."""

import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest
from playwright.async_api import async_playwright, expect

from agent.local.postgres import EmbeddedPostgres
from agent.local.processes import ChildProcess
from bench.stack import PROJECT, START_TIMEOUT
from tests.browser.chromium import FLAGS, find_chromium
from tests.browser.people import PATIENCE, Person

pytestmark = pytest.mark.slow
_LINK = re.compile(r"^as (?:the )?(\w+): (http://\S+)$", re.MULTILINE)


class Dev:
    """The command, its output in a file."""

    def __init__(self, folder: Path, postgres: EmbeddedPostgres, whisper_url: str) -> None:
        environment = {
            "DATABASE_URL": postgres.dsn,
            "OPENAI_BASE_URL": whisper_url,
            "RECORDER_DATA_DIR": str(folder / "data"),
            "RECORDER_SPOOL_DIR": str(folder / "spool"),
            "RECORDER_HEALTH_PORT": "0",
            "WEB_PORT": "0",
            "WEB_SIGN_IN_LINKS": "false",
            "NO_COLOR": "1",
        }
        unset = {name: "" for name in os.environ if name.startswith(("LIVEKIT_", "WEB_JWT", "WEB_JWKS"))}
        self._child = ChildProcess(
            "dev",
            [sys.executable, "-m", "agent", "dev"],
            folder / f"{uuid4()}.log",
            environment=unset | environment,
            directory=PROJECT,
        )
        self._child.wait_until(lambda: "worker_ready" in self.output, timeout=START_TIMEOUT)

    @property
    def output(self) -> str:
        return self._child.log.read_text()

    @property
    def links(self) -> dict[str, str]:
        return dict(_LINK.findall(self.output))

    def stop(self) -> None:
        self._child.stop(timeout=30)


@pytest.fixture
def dev(postgres_of_its_own: EmbeddedPostgres, whisper_url: str, tmp_path: Path) -> Iterator[Dev]:
    running = Dev(tmp_path, postgres_of_its_own, whisper_url)
    yield running
    running.stop()


async def test_a_student_and_a_counselor_hold_a_session_with_the_links_of_dev(dev: Dev) -> None:
    assert "private window" in dev.output
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=find_chromium(), args=FLAGS, timeout=PATIENCE
        )
        people = {}
        for who in ("student", "counselor", "staff"):  # a private window each
            page = await (await browser.new_context()).new_page()
            page.set_default_timeout(PATIENCE)
            await page.goto(dev.links[who])
            people[who] = Person(page, who.capitalize(), [], [])
        student, counselor, staff = people.values()
        await student.join()
        await counselor.page.goto(student.page.url)  # as "Copy link" gives it
        await counselor.join()
        await student.sees("Counselor")
        await counselor.sees("Student")
        await student.page.get_by_role("button", name="End Session").click()
        await student.page.get_by_role("dialog").get_by_role("button", name="End Session").click()
        await expect(counselor.page.get_by_text("Session saved to your history")).to_be_visible()
        await staff.page.reload()
        await expect(staff.page.get_by_role("link", name="Coaching session", exact=True)).to_be_visible()
        await browser.close()


def test_the_links_stay_good_over_a_restart(
    postgres_of_its_own: EmbeddedPostgres, whisper_url: str, tmp_path: Path
) -> None:
    import jwt

    users = []
    for _ in range(2):
        dev = Dev(tmp_path, postgres_of_its_own, whisper_url)
        secret = (tmp_path / "data" / "web.secret").read_text()
        tokens = {who: link.partition("token=")[2] for who, link in dev.links.items()}
        dev.stop()
        claims = {who: jwt.decode(token, secret, algorithms=["HS256"]) for who, token in tokens.items()}
        users.append({who: (claim["sub"], claim["name"], claim.get("role")) for who, claim in claims.items()})
    assert users[0] == users[1]
    assert {who: told[1:] for who, told in users[0].items()} == {
        "student": ("Student", None),
        "counselor": ("Counselor", "counselor"),
        "staff": ("Staff", "admin"),
    }
    assert len({told[0] for told in users[0].values()}) == 3
