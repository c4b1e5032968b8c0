"""The README's pictures: `make screenshots`. Two people in browsers hold a session over the real parts."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from uuid import UUID, uuid4

import numpy as np
from numpy.typing import NDArray
from playwright.async_api import Page, expect

from agent.local.sfu import run_sfu
from agent.local.whisper import run_whisper
from bench.stack import Stack, running_stack
from tests.browser.people import Browsers, browsers
from tests.browser.test_room import both_talk
from tests.conftest import QUICK_ROOMS, migrated_postgres
from tests.integration.web_client import Web, finished, serving

FOLDER = Path(__file__).parents[2] / "docs" / "screenshots"
WIDE, PHONE = {"width": 1200, "height": 800}, {"width": 390, "height": 844}
LOOKS = {"light": ("light", WIDE), "dark": ("dark", WIDE), "phone": ("light", PHONE)}
QUALITY = 82  # of the JPEG files
WALLS = {"Sam": ((236, 214, 190), (52, 74, 110)), "Carol": ((190, 214, 205), (120, 62, 70))}  # and clothes
FRAMES, FPS = 20, 10


@contextmanager
def everything() -> Iterator[Stack]:
    with TemporaryDirectory(prefix="recorder-screenshots-") as name, migrated_postgres() as postgres:
        folder = Path(name)
        with (
            run_sfu(folder / "sfu", overrides=QUICK_ROOMS) as sfu,
            run_whisper(folder / "whisper", "base") as whisper_url,
            running_stack(sfu, postgres, whisper_url, folder / "recorder") as stack,
        ):
            yield stack


def figure(path: Path, name: str) -> list[str]:
    """A camera that sees somebody sway before a wall: a drawing, in a Y4M file."""
    wall, clothes = (np.array(colour, float) for colour in WALLS[name])
    y, x = np.mgrid[0:360, 0:640].astype(float)
    with path.open("wb") as file:
        file.write(f"YUV4MPEG2 W640 H360 F{FPS}:1 Ip A1:1 C420jpeg\n".encode())
        for n in range(FRAMES):
            middle = 320 + 6 * np.sin(2 * np.pi * n / FRAMES)
            picture = wall * (1.05 - 0.3 * y[..., None] / 360)
            picture[((x - middle) / 150) ** 2 + ((y - 380) / 150) ** 2 < 1] = clothes
            picture[((x - middle) / 28) ** 2 + ((y - 225) / 40) ** 2 < 1] = (196, 150, 122)
            picture[((x - middle) / 62) ** 2 + ((y - 140) / 78) ** 2 < 1] = (70, 52, 44)
            picture[((x - middle) / 54) ** 2 + ((y - 156) / 68) ** 2 < 1] = (214, 168, 140)
            file.write(b"FRAME\n" + yuv(np.clip(picture, 0, 255)))
    return [f"--use-file-for-fake-video-capture={path}"]


def yuv(rgb: NDArray[np.float64]) -> bytes:
    """Full-range BT.601, colours at half the size."""
    r, g, b = (rgb[..., n] for n in range(3))
    luma = 0.299 * r + 0.587 * g + 0.114 * b
    small = [128 + (colour - luma)[::2, ::2] / scale for colour, scale in ((b, 1.772), (r, 1.402))]
    return b"".join(np.clip(plane, 0, 255).astype(np.uint8).tobytes() for plane in (luma, *small))


async def looked_at(page: Page, name: str) -> None:
    """One file for each look."""
    for look, (scheme, viewport) in LOOKS.items():
        await page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
        await page.set_viewport_size(viewport)  # type: ignore[arg-type]
        await page.wait_for_timeout(500)  # the layout settles; a picture is no test
        await page.screenshot(path=FOLDER / f"{name}-{look}.jpg", type="jpeg", quality=QUALITY)
    await page.set_viewport_size(WIDE)  # type: ignore[arg-type]
    await page.emulate_media(color_scheme="light")


async def earlier_sessions(web: Web, user_id: UUID) -> None:
    """A history to look at."""
    now, client = datetime.now(UTC), web.user(user_id)
    for days, minutes, mode, about, quality in (
        (2, 42, "video", "College applications", "excellent"),
        (6, 23, "voice", "Career", "good"),
        (9, 31, "video", "Study skills", "fair"),
    ):
        begin = now - timedelta(days=days, minutes=minutes)
        told: dict[str, Any] = {
            "mode": mode,
            "counselor_category": about,
            "start_time": begin.isoformat(),
            "end_time": (begin + timedelta(minutes=minutes)).isoformat(),
            "duration_seconds": minutes * 60,
            "transcript": [],
            "quality_metrics": {"average_bitrate": 830, "average_fps": 24, "packet_loss_percentage": 0.3}
            | {"connection_quality_average": quality},
        }
        answer = await client.post("/api/sessions/save", json=finished() | told)
        assert answer.status_code == 201, answer.text


async def hold_and_look(stack: Stack, web: Web, opened: Browsers) -> None:
    user_id = uuid4()
    await earlier_sessions(web, user_id)
    student, counselor = await both_talk(stack, opened, user_id)
    session_id = student.session_id
    await looked_at(student.page, "room")
    staff = await counselor.page.context.new_page()
    await staff.goto(f"{web.url}/admin")
    await expect(staff.get_by_text("Recorded", exact=True)).to_be_visible()
    await looked_at(staff, "admin")
    await staff.close()
    await student.page.get_by_role("button", name="End Session").click()
    await student.page.get_by_role("dialog").get_by_role("button", name="End Session").click()
    await expect(student.page.locator(".toast")).to_contain_text("Session saved to your history")
    await stack.completed(f"coaching-{session_id}")
    await student.page.goto(f"{web.url}/session-history")
    await looked_at(student.page, "list")
    await student.page.goto(f"{web.url}/session-history/{session_id}")
    await looked_at(student.page, "detail")
    assert (student.wrong, counselor.wrong) == ([], [])


async def take(stack: Stack, folder: Path) -> None:
    async with serving(stack.dsn, stack.sfu) as web, browsers(web, folder) as opened:
        opened.cameras = {name: figure(folder / f"{name}.y4m", name) for name in WALLS}
        await hold_and_look(stack, web, opened)


def main() -> None:
    FOLDER.mkdir(parents=True, exist_ok=True)
    with everything() as stack, TemporaryDirectory(prefix="recorder-voices-") as folder:
        asyncio.run(take(stack, Path(folder)))
    for path in sorted(FOLDER.glob("*.jpg")):
        print(f"{path.name}: {path.stat().st_size / 1000:.0f} kB")  # noqa: T201


if __name__ == "__main__":
    main()
