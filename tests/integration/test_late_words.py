"""Audio that no recorder holds, in a real folder and a real database; Whisper answers as the test says."""

import os
from pathlib import Path
from time import time
from uuid import uuid4

import pytest

from agent.audio_files import audio_folder
from agent.kept_audio import KeptAudio
from agent.late_words import KEPT_SECONDS, PATIENCE_SECONDS, LateWords
from agent.recorder import Recorder
from agent.replay import replay
from agent.session.errors import TranscriptionUnavailable
from agent.session.events import Event, GapNoted
from agent.session.rooms import SessionInfo
from agent.spoken import Spoken
from db import sessions
from db.lease import Lease, claim, release
from db.pool import Pool
from tests.integration.whisper_answers import NOISE, Whisper
from tests.unit.builders import at, ended, heard, joined

SAID = Spoken("student", at(10), at(11))


class Left:
    """A session with an utterance on disk whose recorder is gone."""

    def __init__(self, pool: Pool, spool_dir: Path) -> None:
        self.info = SessionInfo(uuid4(), "coaching-x", "RM_x")
        self.pool, self.spool_dir = pool, spool_dir
        kept = KeptAudio(audio_folder(spool_dir), self.info, "dead+1", limit=10**9)
        path = kept.keep(SAID, NOISE)
        kept.close()
        assert path is not None
        self.path = path
        self.aged(PATIENCE_SECONDS + 1)

    def aged(self, seconds: float) -> None:
        os.utime(self.path, (time() - seconds, time() - seconds))

    async def journaled(self, *more: Event, held: bool = False) -> None:
        lease = await claim(self.pool, self.info, at(0), "dead+1")
        assert isinstance(lease, Lease)
        session = Recorder(self.info, self.pool, self.spool_dir).session
        events = [joined(0), *more, ended(60)]
        for event in events:
            session.apply(event)
        async with self.pool.acquire() as connection:
            await sessions.write(connection, sessions.changes(session, events, finished=True), 0, lease=lease)
        if not held:
            await release(self.pool, lease)

    async def round(self, whisper: Whisper) -> bool:
        done = await LateWords(self.spool_dir, self.pool, "worker", whisper).round()
        await replay(self.pool, self.spool_dir)
        await whisper.aclose()
        return done

    async def words(self) -> list[str]:
        record = await sessions.load_record(self.pool, self.info.session_id)
        return [entry["text"] for entry in record["transcript"]] if record else []

    async def gaps(self) -> list[Event]:
        events, _ = await sessions.load_events(self.pool, self.info.session_id)
        return [event for event in events if isinstance(event, GapNoted)]


@pytest.fixture
def left(pool: Pool, tmp_path: Path) -> Left:
    return Left(pool, tmp_path)


async def test_its_words_come_into_the_completed_session(left: Left) -> None:
    await left.journaled()
    assert await left.round(Whisper())
    assert await left.words() == ["Said before."]
    assert not left.path.exists()


async def test_what_the_journal_has_is_not_asked_for_again(left: Left) -> None:
    await left.journaled(heard(10.2, "Known."))
    whisper = Whisper()
    assert await left.round(whisper)
    assert (await left.words(), whisper.asked) == (["Known."], 0)
    assert not left.path.exists()


async def test_while_whisper_is_away_it_waits(left: Left) -> None:
    await left.journaled()
    assert not await left.round(Whisper(TranscriptionUnavailable("no answer")))
    assert left.path.exists()
    assert await left.round(Whisper())
    assert await left.words() == ["Said before."]


async def test_what_a_recorder_may_still_write_is_left_alone(left: Left) -> None:
    await left.journaled(held=True)
    whisper = Whisper()
    assert await left.round(whisper)
    assert whisper.asked == 0
    assert left.path.exists()


async def test_what_is_new_is_left_to_a_successor(left: Left) -> None:
    await left.journaled()
    left.aged(1)
    whisper = Whisper()
    assert await left.round(whisper)
    assert whisper.asked == 0


async def test_what_is_refused_is_a_gap_and_out_of_the_way(left: Left) -> None:
    await left.journaled()
    assert await left.round(Whisper(TranscriptionUnavailable("refused (400)", refused=True)))
    assert await left.gaps() == [SAID.unheard()]
    rejected = left.path.with_suffix(".rejected")
    assert rejected.exists()
    assert not left.path.exists()
    os.utime(rejected, (0, 0))
    assert await left.round(Whisper())
    assert not rejected.exists()


async def test_after_a_day_it_is_given_up(left: Left) -> None:
    await left.journaled()
    left.aged(KEPT_SECONDS + 1)
    assert await left.round(Whisper(TranscriptionUnavailable("no answer")))
    assert await left.gaps() == [SAID.unheard()]
    assert list(audio_folder(left.spool_dir).iterdir()) == []


async def test_words_that_come_after_all_close_their_gap(left: Left) -> None:
    await left.journaled(SAID.unheard())
    assert await left.round(Whisper())
    record = await sessions.load_record(left.pool, left.info.session_id)
    assert record is not None
    assert record["gaps"] == []
    assert record["coverage"]["participants"]["student"]["missed"] == {}
