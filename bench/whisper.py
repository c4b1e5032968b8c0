"""How many words a core of the local Whisper keeps up with, and how right they are, by size of the model.

Run it with `python -m bench.whisper`. Each model serves real sentences as the recorder sends them: first one
after the other, for its speed and its errors, then from many rooms at once, for what happens beyond its
capacity: every utterance gets its words, later.
"""

import asyncio
import json
import statistics
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

import psutil
import typer
from pydantic import SecretStr

from agent.demo.lines import LINES, load
from agent.demo.speech import Speech
from agent.local.whisper import WhisperServer
from agent.recognition import Recogniser
from agent.session.errors import RecorderError
from agent.settings import Settings
from agent.utterances import RATE, Samples
from bench.command import JsonFile, Markdown, help_of, new_app, print_table, run, say
from bench.procfs import read_cpu, read_pss
from bench.quantiles import share_of
from bench.speech import WORDS, sentence, word_error_rate

app = new_app()


@dataclass(frozen=True)
class Served:
    """One model alone: `cpu_share` is core seconds for each second of speech; memory is PSS in MB."""

    model: str
    speech_seconds: float
    seconds: float
    cpu_share: float
    mb: float
    word_error_rate: float
    per_minute_and_core: float  # utterances


@dataclass(frozen=True)
class Crowded:
    """The same model asked by many rooms at once; seconds from question to words."""

    model: str
    rooms: int
    utterances: int
    lost: int
    median: float
    p95: float
    slowest_room: float  # mean wait of the room that waited longest
    quickest_room: float


@app.command(help=help_of(__doc__))
def whisper(
    models: Annotated[str, typer.Option(help="Names as in RECORDER_LOCAL_WHISPER")] = "tiny.en,base",
    rooms: Annotated[int, typer.Option(min=1, help="Rooms that ask at once")] = 24,
    each: Annotated[int, typer.Option(min=1, help="Utterances of each room")] = 6,
    times: Annotated[int, typer.Option(min=1, help="How often all sentences are heard one by one")] = 2,
    markdown: Markdown = False,
    json_file: JsonFile = None,
) -> None:
    alone: list[Served] = []
    crowded: list[Crowded] = []
    speeches = _speeches()
    with tempfile.TemporaryDirectory(prefix="bench-whisper-") as folder:
        for name in models.split(","):
            say(f"{name}: loading")
            server = WhisperServer(Path(folder), name)
            recogniser = Recogniser(_settings(server.start()))
            try:
                served, busy = asyncio.run(_both(name, recogniser, server, speeches, times, rooms, each))
            finally:
                server.stop()
            alone.append(served)
            crowded.append(busy)
    if json_file:
        json_file.write_text(json.dumps([*map(asdict, alone), *map(asdict, crowded)], indent=2) + "\n")
    _tell(alone, crowded, markdown=markdown)
    if lost := sum(busy.lost for busy in crowded):
        raise RecorderError(f"{lost} utterances got no words")


def _speeches() -> list[Speech]:
    human = [sentence(name.removeprefix("austen-")) for name in sorted(WORDS) if name.startswith("austen-")]
    return [*human, *(load(line) for line in LINES)]


def _settings(base_url: str) -> Settings:
    return Settings().model_copy(
        update={
            "openai_base_url": base_url,
            "openai_api_key": SecretStr("none"),
            "recorder_language": "en",
        }
    )


async def _both(
    name: str,
    recogniser: Recogniser,
    server: WhisperServer,
    speeches: Sequence[Speech],
    times: int,
    rooms: int,
    each: int,
) -> tuple[Served, Crowded]:
    try:
        return (
            await _one_by_one(name, recogniser, server, speeches, times),
            await _at_once(name, recogniser, speeches, rooms, each),
        )
    finally:
        await recogniser.aclose()


async def _one_by_one(
    name: str, recogniser: Recogniser, server: WhisperServer, speeches: Sequence[Speech], times: int
) -> Served:
    samples = [_samples(speech) for speech in speeches]
    await recogniser.words(samples[0])  # the first pays for what is only needed once
    say(f"{name}: {times} x {len(samples)} utterances, one by one")
    before, began = read_cpu(server.pid), time.monotonic()
    heard = [(await recogniser.words(utterance)).text for _ in range(times) for utterance in samples]
    seconds, cpu = time.monotonic() - began, read_cpu(server.pid).seconds - before.seconds
    speech_seconds = times * sum(len(utterance) for utterance in samples) / RATE
    return Served(
        name,
        speech_seconds,
        seconds,
        cpu / speech_seconds,
        read_pss(server.pid),
        word_error_rate([speech.words for speech in speeches] * times, heard),
        60 * len(heard) / cpu,
    )


async def _at_once(
    name: str, recogniser: Recogniser, speeches: Sequence[Speech], rooms: int, each: int
) -> Crowded:
    say(f"{name}: {rooms} rooms at once, {each} utterances each")
    waits: dict[int, list[float]] = {}
    lost = 0

    async def room(number: int) -> None:
        """As `RECORDER_TRANSCRIPTION_CONCURRENCY` has it, two at a time."""
        nonlocal lost
        slots = asyncio.Semaphore(Settings().recorder_transcription_concurrency)

        async def ask(speech: Speech) -> None:
            nonlocal lost
            began = time.monotonic()
            async with slots:
                try:
                    await recogniser.words(_samples(speech))
                except RecorderError:
                    lost += 1
            waits.setdefault(number, []).append(time.monotonic() - began)

        chosen = [speeches[(number + n) % len(speeches)] for n in range(each)]
        await asyncio.gather(*map(ask, chosen))

    await asyncio.gather(*map(room, range(rooms)))
    everybody = [wait for own in waits.values() for wait in own]
    means = [statistics.fmean(own) for own in waits.values()]
    return Crowded(
        name,
        rooms,
        len(everybody),
        lost,
        share_of(everybody, 0.5),
        share_of(everybody, 0.95),
        max(means),
        min(means),
    )


def _samples(speech: Speech) -> Samples:
    return speech.at(RATE).samples


def _tell(alone: Sequence[Served], crowded: Sequence[Crowded], *, markdown: bool) -> None:
    cores = psutil.cpu_count() or 1
    print_table(
        ("model", "speed", "core s per s of speech", "utterances/min per core", "memory", "word error rate"),
        [
            (
                s.model,
                f"{s.speech_seconds / s.seconds:.1f} x real time",
                f"{s.cpu_share:.2f}",
                f"{s.per_minute_and_core:.0f}",
                f"{s.mb:.0f} MB",
                f"{100 * s.word_error_rate:.1f} %",
            )
            for s in alone
        ],
        markdown=markdown,
        title=f"One by one, on {cores} cores",
    )
    print_table(
        ("model", "rooms at once", "utterances", "lost", "p50 / p95 until the words", "rooms' means"),
        [
            (
                c.model,
                str(c.rooms),
                str(c.utterances),
                str(c.lost),
                f"{c.median:.1f} / {c.p95:.1f} s",
                f"{c.quickest_room:.1f} to {c.slowest_room:.1f} s",
            )
            for c in crowded
        ],
        markdown=markdown,
        title="Beyond its capacity",
    )


if __name__ == "__main__":
    run(app)
