"""Speech on disk: what is spoken survives the process that heard it."""

from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest

from agent.kept_audio import KeptAudio, abandoned_audio, read_audio
from agent.utterances import RATE, Samples
from tests.unit.builders import at, info

SPEECH: Samples = (8000 * np.sin(np.arange(RATE) / 20)).astype(np.int16)


@pytest.fixture
def kept(tmp_path: Path) -> KeptAudio:
    return KeptAudio(tmp_path / "audio", info(), "host.example-1+2-abc")


def audio_in(folder: Path) -> list[Path]:
    with abandoned_audio(folder) as paths:
        return paths


def test_an_utterance_comes_back_as_it_was(kept: KeptAudio) -> None:
    found = read_audio(kept.keep("student", at(1), at(2), SPEECH))
    assert (found.info, found.identity, found.begin, found.end) == (info(), "student", at(1), at(2))
    assert np.array_equal(found.samples, SPEECH)


def test_it_is_smaller_on_disk_and_for_its_owner_only(kept: KeptAudio) -> None:
    status = kept.keep("student", at(1), at(2), SPEECH).stat()
    assert status.st_size < SPEECH.nbytes
    assert status.st_mode & 0o077 == 0


def test_nobody_takes_what_a_living_recorder_holds(kept: KeptAudio, tmp_path: Path) -> None:
    path = kept.keep("student", at(1), at(2), SPEECH)
    assert audio_in(tmp_path / "audio") == []
    kept.close()
    assert audio_in(tmp_path / "audio") == [path]


def test_what_was_being_said_when_the_process_died_is_there_too(kept: KeptAudio, tmp_path: Path) -> None:
    kept.begin("TR_1", "student", at(1), SPEECH)
    kept.go_on("TR_1", SPEECH[:512])
    kept.close()
    (path,) = audio_in(tmp_path / "audio")
    found = read_audio(path)
    assert np.array_equal(found.samples, np.concatenate((SPEECH, SPEECH[:512])))
    assert found.end == at(2) + timedelta(seconds=512 / RATE)


def test_a_torn_sample_at_the_end_is_left_out(kept: KeptAudio, tmp_path: Path) -> None:
    kept.begin("TR_1", "student", at(1), SPEECH)
    kept.close()
    (path,) = audio_in(tmp_path / "audio")
    path.write_bytes(path.read_bytes()[:-1])
    assert len(read_audio(path).samples) == len(SPEECH) - 1


def test_what_became_an_utterance_is_not_kept_twice(kept: KeptAudio, tmp_path: Path) -> None:
    kept.begin("TR_1", "student", at(1), SPEECH)
    path = kept.keep("student", at(1), at(2), SPEECH)
    kept.drop("TR_1")
    kept.close()
    assert audio_in(tmp_path / "audio") == [path]


def test_two_who_look_at_once_do_not_both_get_it(kept: KeptAudio, tmp_path: Path) -> None:
    kept.keep("student", at(1), at(2), SPEECH)
    kept.close()
    with abandoned_audio(tmp_path / "audio") as first, abandoned_audio(tmp_path / "audio") as second:
        assert (len(first), second) == (1, [])


def test_a_file_that_is_no_utterance_is_a_value_error(kept: KeptAudio) -> None:
    path = kept.keep("student", at(1), at(2), SPEECH)
    path.write_bytes(path.read_bytes()[:-2000])
    broken = path.read_bytes().partition(b"\n")[0] + b"\nnot FLAC"
    path.write_bytes(broken)
    with pytest.raises(ValueError, match="not an utterance"):
        read_audio(path)


def test_a_folder_that_is_not_there_holds_nothing(tmp_path: Path) -> None:
    assert audio_in(tmp_path / "nowhere") == []
