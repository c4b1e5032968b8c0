"""What a guest who floods a room costs its recorder, and whoever else is in the room.

Run it with `python -m bench.hostile`. A guest without a role sends own words of 16 KiB, one after the other
and as fast as it can; meanwhile a counselor sends a sentence every two seconds, and in the end a student
ends the session. The table tells the recorder's memory, how long honest words take into the journal, the
size of the row and how long its save took; exit code 1 where that is more than promised.
"""

import asyncio
import random
import signal
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any
from uuid import UUID

import typer

from agent.demo.caller import Caller
from agent.local.postgres import EmbeddedPostgres
from agent.local.sfu import run_sfu
from bench.command import Markdown, help_of, new_app, print_table, run, say
from bench.procfs import read_cpu, read_pss
from bench.stack import Stack, connected, new_room, running_stack, until
from db.pool import migrate

PROMISED_MB, PROMISED_ROW_MB, PROMISED_SECONDS = 20.0, 8.0, 5.0
NO_WHISPER = "http://127.0.0.1:9/v1"  # nobody speaks
HONEST_EVERY = 2.0  # seconds
app = new_app()


@dataclass
class Measured:
    """Memory in MB, times in s, sizes in MB."""

    sent_mb: float = 0.0
    seconds: float = 0.0
    before: float = 0.0
    most: float = 0.0
    cpu: float = 0.0
    words: list[float] = field(default_factory=list)  # from an honest message to the journal
    lost_words: int = 0
    saved: float | None = None
    row_mb: float = 0.0
    journal_mb: float = 0.0
    lines: int = 0


@app.command(help=help_of(__doc__))
def hostile(
    messages: Annotated[int, typer.Option(min=10, help="How many the guest sends")] = 19_000,
    per_second: Annotated[float, typer.Option(min=0, help="How many each second; 0 = as fast as it can")] = 0,
    markdown: Markdown = False,
) -> None:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # ends our children too, as Ctrl-C does
    with tempfile.TemporaryDirectory(prefix="bench-hostile-") as folder, _stack(Path(folder)) as stack:
        found = asyncio.run(_measured(stack, messages, per_second))
    headings = [
        "MB sent",
        "in s",
        "MB before / at most",
        "CPU s",
        "words: p50 / worst s",
        "lost",
        "saved after s",
    ]
    words = f"{statistics.median(found.words):.2f} / {max(found.words):.2f}" if found.words else "none"
    line = [
        f"{found.sent_mb:.0f}",
        f"{found.seconds:.0f}",
        f"{found.before:.0f} / {found.most:.0f}",
        f"{found.cpu:.0f}",
        words,
        str(found.lost_words),
        "never" if found.saved is None else f"{found.saved:.2f}",
        f"{found.row_mb:.2f}",
        f"{found.journal_mb:.2f}",
        str(found.lines),
    ]
    print_table([*headings, "row MB", "journal MB", "log lines"], [line], markdown=markdown)
    too_much = found.most - found.before > PROMISED_MB or found.row_mb > PROMISED_ROW_MB
    if too_much or found.saved is None or found.saved > PROMISED_SECONDS or found.lost_words:
        sys.exit(1)


@contextmanager
def _stack(folder: Path) -> Iterator[Stack]:
    postgres = EmbeddedPostgres(folder / "postgres")
    with run_sfu(folder / "sfu", overrides={"room": {"departure_timeout": 4}}) as sfu:
        try:
            asyncio.run(migrate(postgres.start()))
            with running_stack(sfu, postgres, NO_WHISPER, folder / "recorder") as stack:
                yield stack
        finally:
            postgres.stop()


async def _measured(stack: Stack, messages: int, per_second: float) -> Measured:
    room, found = new_room(), Measured()
    async with (
        stack.joining(room, "student-1", auto_subscribe=False) as student,
        stack.joining(room, "counselor-1", microphone=False, auto_subscribe=False) as counselor,
        stack.joining(room, "guest", microphone=False, auto_subscribe=False) as guest,
    ):
        await until(lambda: len(stack.log("participant_joined", room=room)) == 3)
        pid = int(stack.log("recording_began", room=room)[0]["pid"])
        await stack.tell(counselor, "Welcome to this room, all of you.")
        found.before, before = read_pss(pid), read_cpu(pid)
        async with _honest(stack, counselor, found), _watching(pid, found):
            await _flood(guest, messages, per_second, found)
            await asyncio.sleep(5)
        found.cpu = read_cpu(pid).seconds - before.seconds
        asked = time.monotonic()
        await student.send("session.end", {})
        with suppress(TimeoutError):  # their own client may still have the flood to read
            await until(lambda: stack.log("session_saved", room=room), within=120)
            found.saved = time.monotonic() - asked
    with suppress(TimeoutError):
        await stack.completed(room, within=60)
    await _sizes(stack, room, found)
    found.lines = len(stack.log(room=room))
    return found


async def _flood(guest: Caller, messages: int, per_second: float, found: Measured) -> None:
    began = time.monotonic()
    for number in range(messages):
        text = f"{number:06d} {random.randbytes(8_050).hex()}"
        await guest.send("transcript", {"text": text})
        found.sent_mb += len(text) / 1e6
        if per_second:
            await asyncio.sleep(max(0.0, began + number / per_second - time.monotonic()))
        if number % 1000 == 999:
            say(f"{number + 1} sent after {time.monotonic() - began:.0f} s, {found.most:.0f} MB")
    found.seconds = time.monotonic() - began


@asynccontextmanager
async def _honest(stack: Stack, counselor: Caller, found: Measured) -> AsyncIterator[None]:
    """The counselor's sentences, and how long each takes."""
    over = asyncio.Event()

    async def speak() -> None:
        number = 0
        while not over.is_set():
            number += 1
            text, began = f"An honest sentence, number {number}.", time.monotonic()
            await counselor.send("transcript", {"text": text})
            try:
                await until(lambda text=text: stack.journaled(text), within=60, every=0.02)
                found.words.append(time.monotonic() - began)
            except TimeoutError:
                found.lost_words += 1
            with suppress(TimeoutError):
                async with asyncio.timeout(HONEST_EVERY):
                    await over.wait()

    speaking = asyncio.create_task(speak())
    yield
    over.set()
    await speaking


@asynccontextmanager
async def _watching(pid: int, found: Measured) -> AsyncIterator[None]:
    async def watch() -> None:
        while True:
            found.most = max(found.most, read_pss(pid))
            await asyncio.sleep(1)

    watching = asyncio.create_task(watch())
    yield
    watching.cancel()
    with suppress(asyncio.CancelledError):
        await watching


async def _sizes(stack: Stack, room: str, found: Measured) -> None:
    session_id = UUID(room.removeprefix("coaching-"))
    row = (
        "select octet_length(transcript::text) + octet_length(gaps::text) from sessions where session_id = $1"
    )
    journal = "select sum(octet_length(data::text)) from session_events where session_id = $1"
    async with connected(stack.dsn) as connection:
        sizes: list[Any] = [await connection.fetchval(query, session_id) for query in (row, journal)]
    found.row_mb, found.journal_mb = (float(size or 0) / 1e6 for size in sizes)


if __name__ == "__main__":
    run(app)
