"""An utterance's way to its words, with a real database and a real disk; Whisper answers as the test says."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from uuid import uuid4

import pytest

from agent.audio_files import audio_folder
from agent.kept_audio import KeptAudio
from agent.recognising import Recognising
from agent.recognition import Words
from agent.recorder import Recorder
from agent.session.errors import TranscriptionUnavailable
from agent.session.events import Event
from agent.session.fold import fold
from agent.session.rooms import SessionInfo
from agent.spoken import Spoken
from bench.stack import until
from db import sessions
from db.lease import Lease, claim, release
from db.pool import Pool
from tests.integration.whisper_answers import NOISE, Whisper
from tests.unit.builders import at, heard, joined

SAID = Spoken("student", at(10), at(11))


class Room:
    """What of a room matters here: its recorder and its utterances."""

    def __init__(self, pool: Pool, info: SessionInfo, folder: Path, whisper: Whisper) -> None:
        self.folder, self.whisper = audio_folder(folder), whisper
        self.recorder = Recorder(info, pool, folder)
        self.kept = KeptAudio(self.folder, info, self.recorder.owner, limit=10**9)
        self.recognising = Recognising(self.recorder, whisper, self.kept, concurrency=1)

    @property
    def files(self) -> list[str]:
        return sorted(path.suffix for path in self.folder.glob("*") if path.suffix != ".hearing")

    def says(self, spoken: Spoken = SAID) -> None:
        path = self.kept.begin(spoken, NOISE[:5000])
        if path is not None:
            self.kept.settle(path, NOISE)
        self.recognising.start(spoken, NOISE, path)

    @property
    def words(self) -> list[str]:
        return [utterance.text for utterance in self.recorder.session.utterances]

    @property
    def gaps(self) -> list[str]:
        return [gap["reason"] for gap in self.recorder.session.gaps()]


@pytest.fixture
def info() -> SessionInfo:
    return SessionInfo(uuid4(), "coaching-x", "RM_x")


@asynccontextmanager
async def recorded(pool: Pool, info: SessionInfo, folder: Path, whisper: Whisper) -> AsyncIterator[Room]:
    room = Room(pool, info, folder, whisper)
    room.recorder.record(joined(0))
    keeping = asyncio.create_task(room.recorder.keep())
    yield room
    await room.recognising.finish(0.2)
    keeping.cancel()
    await asyncio.gather(keeping, return_exceptions=True)
    await room.recorder.close()
    await room.recognising.close()
    await whisper.aclose()


async def test_an_utterance_is_on_disk_until_its_words_are_in_the_journal(
    pool: Pool, info: SessionInfo, tmp_path: Path
) -> None:
    whisper = Whisper()
    whisper.there.clear()
    async with recorded(pool, info, tmp_path, whisper) as room:
        room.says()
        room.says(Spoken("student", at(20), at(21)))  # waits for the slot
        await until(lambda: room.files == [".utterance", ".utterance"])
        whisper.there.set()
        await until(lambda: room.files == [])
        events, _ = await sessions.load_events(pool, info.session_id)
        assert sum(e in events for e in room.recorder.session.utterances) == 2
    assert list(room.folder.iterdir()) == []


async def test_a_successor_goes_on_with_what_a_dead_recorder_left(
    pool: Pool, info: SessionInfo, tmp_path: Path
) -> None:
    dead = KeptAudio(audio_folder(tmp_path), info, "dead+1", limit=10**9)
    for begin in (10, 20, 30):
        assert dead.keep(Spoken("student", at(begin), at(begin + 1)), NOISE)
    dead.begin(Spoken("student", at(29.8), at(29.8)), NOISE)  # the last one again, from before its pause
    dead.close()
    async with recorded(pool, info, tmp_path, Whisper()) as room:
        room.recorder.record(heard(20, "Known."))
        await until(lambda: len(room.words) == 3)
        await until(lambda: room.files == [])
    assert sorted(room.words) == ["Known.", "Said before.", "Said before."]
    assert room.gaps == []


@pytest.mark.parametrize("came", [True, False])
async def test_an_agents_speech_goes_to_whisper_only_where_its_own_words_do_not_come(
    pool: Pool, info: SessionInfo, tmp_path: Path, came: bool
) -> None:
    decided = asyncio.Event()

    async def own_words() -> bool:
        await decided.wait()
        return came

    async with recorded(pool, info, tmp_path, Whisper()) as room:
        room.recognising.start(SAID, NOISE, None, own_words)
        await until(lambda: room.files == [".utterance"])  # a successor would find it
        assert room.words == []
        decided.set()
        await until(lambda: room.words and not room.files)
        (utterance,) = room.recorder.session.utterances
        told = ("", "data") if came else ("Said before.", "whisper")
        assert (utterance.text, utterance.source) == told
        assert room.whisper.asked == (0 if came else 1)


async def test_held_speech_whose_sound_is_gone_is_a_gap_of_missing_own_words(
    pool: Pool, info: SessionInfo, tmp_path: Path
) -> None:
    async def own_words() -> bool:
        await until(lambda: list(audio_folder(tmp_path).glob("*.utterance")))
        for path in audio_folder(tmp_path).glob("*.utterance"):
            path.unlink()
        return False

    async with recorded(pool, info, tmp_path, Whisper()) as room:
        room.recognising.start(SAID, NOISE, None, own_words)
        await until(lambda: room.gaps)
    assert room.gaps == ["own_words_missing"]


async def test_what_a_person_says_that_they_said_does_not_stand_for_sound_that_was_kept(
    pool: Pool, info: SessionInfo, tmp_path: Path
) -> None:
    dead = KeptAudio(audio_folder(tmp_path), info, "dead+1", limit=10**9)
    assert dead.keep(SAID, NOISE)
    dead.close()
    own = replace(SAID.heard(Words("I said nothing.", None)), source="data", told="person")
    async with recorded(pool, info, tmp_path, Whisper()) as room:
        room.recorder.record(own)
        await until(lambda: len(room.words) == 2)
    assert sorted(room.words) == ["I said nothing.", "Said before."]


async def test_what_is_refused_is_a_gap_and_not_kept(pool: Pool, info: SessionInfo, tmp_path: Path) -> None:
    refusing = Whisper(TranscriptionUnavailable("refused (400)", refused=True))
    async with recorded(pool, info, tmp_path, refusing) as room:
        room.says()
        await until(lambda: room.gaps and room.files == [])
    assert room.gaps == ["transcription_unavailable"]


async def test_speech_is_a_gap_also_where_its_recognition_fails_as_nobody_expected(
    pool: Pool, info: SessionInfo, tmp_path: Path
) -> None:
    async with recorded(pool, info, tmp_path, Whisper(ValueError("an answer of another form"))) as room:
        room.says()
        await until(lambda: room.gaps)
    assert room.gaps == ["transcription_unavailable"]
    assert room.files == [".utterance"]


@pytest.mark.parametrize("away", ["it does not answer", "the room ends first"])
async def test_what_nobody_answered_for_is_a_gap_and_stays_for_the_worker(
    pool: Pool, info: SessionInfo, tmp_path: Path, away: str
) -> None:
    whisper = Whisper(TranscriptionUnavailable("no answer"))
    if away == "the room ends first":
        whisper.there.clear()
    async with recorded(pool, info, tmp_path, whisper) as room:
        room.says()
        await until(lambda: whisper.asked)
    assert room.gaps == ["transcription_unavailable"]
    assert room.files == [".utterance"]
    assert not list(room.folder.glob("*.hearing"))


async def test_without_a_disk_everything_goes_on_from_memory(
    pool: Pool, info: SessionInfo, tmp_path: Path
) -> None:
    (tmp_path / "audio").write_text("in the way")
    async with recorded(pool, info, tmp_path, Whisper()) as room:
        room.says()
        await until(lambda: room.words)
    assert room.words == ["Said before."]
    assert room.gaps == []


async def test_what_is_recorded_is_secured_once_it_is_in_the_journal_or_on_disk(
    pool: Pool, info: SessionInfo, tmp_path: Path
) -> None:
    async with recorded(pool, info, tmp_path, Whisper()) as room, asyncio.timeout(20):
        secured = asyncio.create_task(room.recorder.secured())
        await asyncio.sleep(0)
        assert not secured.done()
        await secured
        await pool.execute("drop table session_events")
        room.says()
        await until(lambda: room.words and room.files == [])
        assert len(list(tmp_path.glob("*.jsonl"))) == 1


async def test_one_sentence_that_two_recorders_kept_is_told_once(
    pool: Pool, info: SessionInfo, tmp_path: Path
) -> None:
    dead = KeptAudio(audio_folder(tmp_path), info, "dead+1", limit=10**9)
    assert dead.keep(Spoken("student", at(10.4), at(11.1)), NOISE)
    dead.close()
    whisper = Whisper()
    whisper.there.clear()
    async with recorded(pool, info, tmp_path, whisper) as room:
        await until(lambda: whisper.asked)
        room.recorder.record(heard(10, "Said before."))
        whisper.there.set()
        await until(lambda: not room.files)
        assert room.words == ["Said before."]


async def test_what_somebody_says_into_two_microphones_at_once_is_told_of_both(
    pool: Pool, info: SessionInfo, tmp_path: Path
) -> None:
    async with recorded(pool, info, tmp_path, Whisper()) as room:
        room.says(Spoken("student", at(12), at(12.5)))
        room.says(Spoken("student", at(10), at(38)))
        await until(lambda: room.whisper.asked == 2 and not room.files)
        assert room.words == ["Said before.", "Said before."]


async def test_what_another_recorder_told_while_we_did_not_hold_the_session_is_told_once(
    pool: Pool, info: SessionInfo, tmp_path: Path
) -> None:
    lease = await claim(pool, info, at(0), "another+1")
    assert isinstance(lease, Lease)
    theirs: list[Event] = [joined(0), heard(10, "Told by another.")]
    async with pool.acquire() as connection:
        what = sessions.changes(fold(info, theirs), theirs, finished=False)
        await sessions.write(connection, what, 0, lease=lease)
    await release(pool, lease, goes_on=True)
    whisper = Whisper()
    whisper.there.clear()
    async with recorded(pool, info, tmp_path, whisper) as room:
        room.says()  # we heard it as well, and its words come only now
        await until(lambda: room.words == ["Told by another."])
        whisper.there.set()
        await until(lambda: whisper.asked == 1 and not room.files)
        assert room.words == ["Told by another."]
