"""A session between two people in real browsers, over the real parts; nothing is mocked."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from playwright.async_api import Error, Locator, Page, expect

from agent.local.sfu import Sfu
from bench.speech import WORDS, plain
from bench.stack import Stack, connected, until
from tests.browser.people import Browsers, Person, browsers
from tests.integration.web_client import Web, serving

pytestmark = pytest.mark.slow
SAID = {"student": "0870", "counselor": "0880"}


@pytest.fixture
async def web(stack: Stack) -> AsyncIterator[Web]:
    async with serving(stack.dsn, stack.sfu) as running:
        yield running


@pytest.fixture
async def room(web: Web, tmp_path: Path) -> AsyncIterator[Browsers]:
    async with browsers(web, tmp_path) as opened:
        yield opened


async def both_talk(stack: Stack, room: Browsers, user_id: UUID | None = None) -> tuple[Person, Person]:
    """A student begins a session, their counselor comes in by its link, and both say their sentence."""
    student = await room.person("Sam", user_id or uuid4(), "/video-session", says=SAID["student"])
    await student.join()
    counselor = await room.person(
        "Carol",
        uuid4(),
        f"/video-session?session={student.session_id}",
        says=SAID["counselor"],
        claims={"role": "admin"},
    )
    await counselor.join()
    await student.sees("Carol")
    await counselor.sees("Sam")
    await until(lambda: both_were_heard(stack, student.session_id), within=150)
    return student, counselor


async def both_were_heard(stack: Stack, session_id: UUID) -> bool:
    async with connected(stack.dsn) as connection:
        rows = await connection.fetch(
            "select data ->> 'identity' as identity, data ->> 'text' as text from session_events"
            " where session_id = $1 and kind = 'UtteranceHeard'",
            session_id,
        )
    heard = {role: " ".join(row["text"] for row in rows if row["identity"].startswith(role)) for role in SAID}
    return all(has_the_words(heard[role], number) for role, number in SAID.items())


def has_the_words(text: str, number: str) -> bool:
    """Most of a sentence: a Whisper errs now and then."""
    words = set(plain(WORDS[f"austen-{number}"]).split())
    return len(words & set(plain(text).split())) >= 0.8 * len(words)


async def the_record_tells(student: Person, session_id: UUID) -> None:
    """From the history to the conversation, as a person goes."""
    page = student.page
    own = page.locator(f'a[href="/session-history/{session_id}#words"]')
    await page.goto(page.url.partition("/video-session")[0] + "/session-history")
    await expect(own).to_have_text("View Transcript")
    await own.click()
    await expect(page.get_by_role("heading", name="Conversation", exact=True)).to_be_visible()
    text = await page.locator("#words").inner_text()
    assert "Sam" in text
    assert "Carol" in text
    assert all(has_the_words(text, number) for number in SAID.values())


async def killed(page: Page) -> None:
    """The tab's process dies: nothing in the page runs any more, so nobody says goodbye."""
    tab = await page.context.new_cdp_session(page)
    async with page.expect_event("crash"):
        dying = asyncio.create_task(tab.send("Page.crash"))  # it is never answered
    dying.cancel()
    with suppress(asyncio.CancelledError, Error):
        await dying


async def test_a_session_that_somebody_ends(stack: Stack, room: Browsers) -> None:
    student, counselor = await both_talk(stack, room)
    session_id = student.session_id
    await student.page.get_by_role("button", name="End Session").click()
    await student.page.get_by_role("dialog").get_by_role("button", name="End Session").click()
    for person in (student, counselor):
        toast = person.page.locator(".toast")
        await expect(toast).to_contain_text("Session saved to your history")
        await expect(toast).to_contain_text(str(session_id))
        await expect(toast.get_by_role("link")).to_have_attribute("href", f"/session-history/{session_id}")
    record = await stack.completed(f"coaching-{session_id}")
    assert record["end_reason"] == "ended_by_participant"
    await the_record_tells(student, session_id)
    assert (student.wrong, counselor.wrong) == ([], [])
    async with connected(stack.dsn) as connection:
        told = await connection.fetch(
            "select identity, source, bitrate_kbps, fps from quality_readings"
            " where session_id = $1 and leg = 'client_to_sfu'",
            session_id,
        )
    by_source = {source: [r for r in told if r["source"] == source] for source in ("camera", "microphone")}
    assert all(
        {row["identity"].partition("-")[0] for row in rows} == set(SAID) for rows in by_source.values()
    )
    assert max(row["bitrate_kbps"] for row in by_source["camera"]) > 20
    assert max(row["fps"] for row in by_source["camera"]) > 1
    assert 5 < max(row["bitrate_kbps"] for row in by_source["microphone"]) < 200


async def test_a_session_whose_tabs_are_killed(stack: Stack, room: Browsers, web: Web) -> None:
    student, counselor = await both_talk(stack, room)
    session_id = student.session_id
    for person in (student, counselor):
        await killed(person.page)
    record = await stack.completed(f"coaching-{session_id}")
    assert record["end_reason"] in ("room_empty", "room_closed")
    student.page = await student.page.context.new_page()
    await student.page.goto(f"{web.url}/video-session")
    await the_record_tells(student, session_id)


async def test_a_session_whose_people_lose_the_network(stack: Stack, room: Browsers) -> None:
    student, counselor = await both_talk(stack, room)
    session_id = student.session_id
    with student.unreachable(), counselor.unreachable():
        record = await stack.completed(f"coaching-{session_id}")
        assert record["end_reason"] in ("room_empty", "room_closed")
    # In reach again, the page goes back into the room by itself; it is the same session.
    await the_record_tells(student, session_id)


async def test_a_microphone_is_changed_during_the_call(stack: Stack, room: Browsers) -> None:
    student = await room.person("Sam", uuid4(), "/video-session", says=SAID["student"])
    await student.page.get_by_label("Kind").select_option("voice")
    await student.join()
    joined_at = datetime.now(UTC)
    await until(lambda: was_heard(stack, student.session_id, joined_at), within=150)
    menu, microphone = student.page.get_by_text("Devices"), student.page.locator("#microphone-now")
    await menu.click()
    used = await microphone.input_value()
    other = await until(lambda: another_than(used, microphone))  # the list fills by and by
    changed_at = datetime.now(UTC)
    await microphone.select_option(other)
    await until(lambda: was_heard(stack, student.session_id, changed_at), within=150)
    await expect(microphone).to_have_value(other)
    await student.page.keyboard.press("Escape")
    await expect(microphone).to_be_hidden()
    await expect(menu).to_be_focused()
    assert student.wrong == []


async def another_than(used: str, choice: Locator) -> str | None:
    options: list[str] = await choice.locator("option").evaluate_all("all => all.map(one => one.value)")
    return next((value for value in options if value != used), None)


async def was_heard(stack: Stack, session_id: UUID, after: datetime) -> bool:
    async with connected(stack.dsn) as connection:
        return bool(
            await connection.fetchval(
                "select count(*) from session_events"
                " where session_id = $1 and kind = 'UtteranceHeard' and at > $2",
                session_id,
                after,
            )
        )


async def test_the_page_says_what_to_do_when_no_recorder_answers(
    dsn: str, sfu_of_its_own: Sfu, tmp_path: Path
) -> None:
    async with serving(dsn, sfu_of_its_own) as web, browsers(web, tmp_path) as opened:
        page = (await opened.person("Sam", uuid4(), "/video-session")).page
        await page.get_by_label("Your name").fill("Sam")
        await page.get_by_label("Kind").select_option("voice")
        await page.get_by_role("button", name="Join the session").click()
        await expect(page.get_by_text("The recorder is not here yet")).to_be_visible()
        await page.get_by_role("button", name="End Session").click()
        await page.get_by_role("dialog").get_by_role("button", name="End Session").click()
        await expect(page.get_by_text("Saving the session")).to_be_visible()
        await expect(page.get_by_text("The recorder has not answered yet.")).to_be_visible()
        await page.get_by_role("button", name="Leave now").click()
        await expect(page.get_by_role("heading", name="You have left")).to_be_focused()
        await expect(page.get_by_role("link", name="See the record")).to_be_visible()


async def test_a_database_that_is_away_is_told_and_so_is_its_return(
    stack_of_its_own: Stack, tmp_path: Path
) -> None:
    stack = stack_of_its_own
    async with serving(stack.dsn, stack.sfu) as web, browsers(web, tmp_path) as opened:
        student = await opened.person("Sam", uuid4(), "/video-session", says=SAID["student"])
        await student.page.get_by_label("Kind").select_option("voice")
        await student.join()
        stack.postgres.stop()
        await student.page.get_by_role("button", name="End Session").click()
        await student.page.get_by_role("dialog").get_by_role("button", name="End Session").click()
        failed = student.page.get_by_role("dialog").locator(".toast")
        await expect(failed).to_contain_text("Failed to save session")
        await expect(student.page.get_by_text("The recorder has kept it")).to_be_visible()
        stack.postgres.start()
        await expect(student.page.locator("#toasts .toast")).to_contain_text("Session saved to your history")
        record = await stack.completed(f"coaching-{student.session_id}")
        assert record["mode"] == "voice"
