"""Speech on disk: what is spoken survives the process that heard it."""

import errno
from pathlib import Path
from uuid import UUID

import numpy as np
import pytest
from structlog.testing import capture_logs

from agent.audio_files import abandoned_audio, read_audio, without_words
from agent.kept_audio import KeptAudio
from agent.speaking import Speaking
from agent.spoken import Spoken
from agent.utterances import RATE, WINDOW, Samples
from tests.unit.builders import SESSION_ID, at, info

MB = 1_000_000
SPEECH: Samples = (8000 * np.sin(np.arange(RATE) / 20)).astype(np.int16)
SAID = Spoken("student", at(1), at(2))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "audio"


def recorder_in(folder: Path, *, owner: str = "host.example-1+2-abc", limit: int = MB) -> KeptAudio:
    return KeptAudio(folder, info(), owner, limit=limit)


@pytest.fixture
def kept(folder: Path) -> KeptAudio:
    return recorder_in(folder)


def audio_in(folder: Path) -> list[Path]:
    with abandoned_audio(folder, SESSION_ID) as paths:
        return paths


def there(path: Path | None) -> Path:
    assert path is not None
    return path


def test_an_utterance_comes_back_as_it_was(kept: KeptAudio) -> None:
    shared = Spoken("student", at(1), at(2), "screen_share_audio")
    for spoken in (SAID, shared):
        found = read_audio(there(kept.keep(spoken, SPEECH)))
        assert (found.info, found.spoken) == (info(), spoken)
        assert np.array_equal(found.samples, SPEECH)


def test_it_is_smaller_on_disk_and_for_its_owner_only(kept: KeptAudio, folder: Path) -> None:
    status = there(kept.keep(SAID, SPEECH)).stat()
    assert status.st_size < SPEECH.nbytes
    assert folder.stat().st_mode & 0o077 == 0
    assert all(path.stat().st_mode & 0o077 == 0 for path in folder.iterdir())


def test_nobody_takes_what_a_living_recorder_holds(kept: KeptAudio, folder: Path) -> None:
    path = kept.keep(SAID, SPEECH)
    assert audio_in(folder) == []
    kept.close()
    assert audio_in(folder) == [path]


def test_what_was_being_said_when_the_process_died_is_there_too(kept: KeptAudio, folder: Path) -> None:
    path = there(kept.begin(SAID, SPEECH))
    kept.go_on(path, SPEECH[:512])
    kept.close()
    assert audio_in(folder) == [path]
    found = read_audio(path)
    assert np.array_equal(found.samples, np.concatenate((SPEECH, SPEECH[:512])))
    assert found.spoken == Spoken("student", at(1), at(2.032))


def test_a_torn_sample_at_the_end_is_left_out(kept: KeptAudio) -> None:
    path = there(kept.begin(SAID, SPEECH))
    path.write_bytes(path.read_bytes()[:-1])
    assert len(read_audio(path).samples) == len(SPEECH) - 1


@pytest.mark.parametrize("whole", [SPEECH[:9000], np.concatenate((SPEECH, SPEECH[:512]))])
def test_an_utterance_settles_what_belongs_to_it(kept: KeptAudio, whole: Samples) -> None:
    path = there(kept.begin(SAID, SPEECH))
    kept.settle(path, whole)
    kept.go_on(path, SPEECH)  # too late: it is settled
    assert np.array_equal(read_audio(path).samples, whole)


def test_what_became_an_utterance_is_not_kept_twice(kept: KeptAudio, folder: Path) -> None:
    speaking = there(kept.begin(SAID, SPEECH))
    path = kept.keep(SAID, SPEECH)
    kept.drop(speaking)
    kept.close()
    assert audio_in(folder) == [path]


def test_a_successor_takes_over_and_holds_it_until_it_closes(kept: KeptAudio, folder: Path) -> None:
    spoken, whole = kept.begin(SAID, SPEECH), kept.keep(SAID, SPEECH)
    kept.close()
    successor, third = recorder_in(folder, owner="another+1"), recorder_in(folder, owner="third+1")
    assert successor.adopt() == [whole, spoken]
    assert third.adopt() == []
    successor.close()
    assert third.adopt() == [whole, spoken]
    third.close()
    assert set(folder.iterdir()) == {whole, spoken}  # no lock stays behind


def test_other_sessions_are_left_alone(kept: KeptAudio, folder: Path) -> None:
    kept.keep(SAID, SPEECH)
    kept.close()
    with abandoned_audio(folder, UUID(int=1)) as paths:
        assert paths == []


def test_speech_that_has_its_words_or_is_there_twice_is_not_transcribed_again(kept: KeptAudio) -> None:
    known = there(kept.keep(Spoken("student", at(1), at(3)), SPEECH))
    whole = there(kept.keep(Spoken("student", at(10), at(12)), SPEECH))
    other = there(kept.keep(Spoken("counselor", at(10), at(12)), SPEECH))
    twin = there(kept.begin(Spoken("student", at(10.5), at(10.5)), SPEECH))
    broken = there(kept.keep(Spoken("student", at(20), at(21)), SPEECH))
    broken.write_bytes(broken.read_bytes().partition(b"\n")[0] + b"\nnot FLAC")
    have = [Spoken("student", at(0), at(2))]
    left = [path for path, _ in without_words([known, whole, other, twin, broken], have)]
    assert left == [whole, other]
    assert not known.exists()
    assert not twin.exists()
    assert broken.with_suffix(".rejected").exists()


@pytest.mark.parametrize(
    ("begin", "end", "same"),
    [(1.5, 2.5, True), (1.6, 2.6, False), (1.8, 2.2, True), (0, 9, True), (2, 3, False)],
)
def test_half_of_the_shorter_one_makes_two_the_same(begin: float, end: float, same: bool) -> None:
    assert SAID.same_as(Spoken("student", at(begin), at(end))) is same
    assert not SAID.same_as(Spoken("counselor", at(begin), at(end)))


@pytest.mark.parametrize("content", [b"", b"{}\n", b"[1]\nabc", b"\xff\n", b'{"session_id": 3}\n'])
def test_a_file_that_is_no_utterance_is_a_value_error(folder: Path, content: bytes) -> None:
    folder.mkdir()
    path = folder / f"{SESSION_ID}.owner.1.speaking"
    path.write_bytes(content)
    with pytest.raises(ValueError, match="not an utterance"):
        read_audio(path)


def test_a_folder_that_is_not_there_holds_nothing(tmp_path: Path) -> None:
    assert audio_in(tmp_path / "nowhere") == []


def test_a_full_folder_takes_no_more_and_says_so_once(folder: Path) -> None:
    kept = recorder_in(folder, owner="another+1", limit=1000)
    there(recorder_in(folder).keep(SAID, SPEECH))
    with capture_logs() as logs:
        assert kept.begin(SAID, SPEECH) is None
        assert kept.keep(SAID, SPEECH) is None
    (line,) = logs
    assert (line["event"], line["errno"]) == ("audio_not_kept", errno.EDQUOT)


def test_who_wants_nothing_on_disk_gets_nothing(folder: Path) -> None:
    kept = recorder_in(folder, limit=0)
    assert (kept.begin(SAID, SPEECH), kept.keep(SAID, SPEECH), kept.adopt()) == (None, None, [])
    assert not folder.exists()


def test_a_disk_that_fails_is_logged_once_and_costs_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    kept = recorder_in(tmp_path / "file" / "audio")
    with capture_logs() as logs:
        assert kept.begin(SAID, SPEECH) is None
        assert kept.keep(SAID, SPEECH) is None
        assert kept.adopt() == []
        kept.close()
    assert [line["event"] for line in logs] == ["audio_not_kept"]


class Voice:
    """Windows as a cutter has them under way, and the file they go to."""

    def __init__(self, kept: KeptAudio) -> None:
        self.speaking = Speaking(kept, "student", None)
        self.windows: list[Samples] = []
        self.first = 0

    def goes_on(self, windows: int) -> "Voice":
        self.windows += [np.full(WINDOW, len(self.windows) + i, np.int16) for i in range(windows)]
        self.speaking.follow((self.first, self.windows), lambda sample: at(sample / RATE))
        return self


def test_speech_is_written_frame_by_frame(kept: KeptAudio, folder: Path) -> None:
    voice = Voice(kept).goes_on(5).goes_on(5)
    (path,) = folder.glob("*.speaking")
    assert np.array_equal(read_audio(path).samples, np.concatenate(voice.windows))
    voice.goes_on(1)
    assert np.array_equal(read_audio(path).samples, np.concatenate(voice.windows))


def test_after_a_cut_speech_goes_on_in_a_file_of_its_own(kept: KeptAudio, folder: Path) -> None:
    voice = Voice(kept).goes_on(10)
    before, voice.windows, voice.first = voice.windows[:6], voice.windows[6:], 6 * WINDOW
    path = there(voice.speaking.completed(np.concatenate(before)))
    voice.goes_on(3)
    (after,) = set(folder.glob("*.speaking")) - {path}
    assert np.array_equal(read_audio(path).samples, np.concatenate(before))
    assert np.array_equal(read_audio(after).samples, np.concatenate(voice.windows))
    assert read_audio(after).spoken.begin == at(0.192)
