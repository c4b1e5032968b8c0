import stat
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from pathlib import Path

from agent.audio_files import audio_folder
from agent.private import close_to_others, kept_text, opened, private_folder
from agent.spool import Spool
from agent.worker import _close_folders
from tests.unit.builders import info, joined


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_folder_is_made_with_those_above_it_for_nobody_else(tmp_path: Path) -> None:
    folder = tmp_path / "recorder" / "spool" / "audio"
    assert private_folder(folder) == private_folder(folder) == folder
    assert [mode(path) for path in (folder, folder.parent, folder.parents[1])] == [0o700] * 3


def test_events_on_disk_are_for_nobody_else(tmp_path: Path) -> None:
    folder = tmp_path / "recorder" / "spool"
    spool = Spool(folder, info(), "owner")
    spool.append([joined(0)])
    (file,) = folder.iterdir()
    assert (mode(folder), mode(file)) == (0o700, 0o600)
    spool.close()


def test_what_a_worker_finds_on_disk_is_closed_to_others(tmp_path: Path) -> None:
    spool = tmp_path / "spool"
    audio = audio_folder(spool)
    audio.mkdir(parents=True)
    files = [spool / "a.jsonl", audio / "a.1.utterance"]
    for path, open_to_all in ((spool, 0o755), (audio, 0o777)):
        path.chmod(open_to_all)
    for path in files:
        path.touch()
        path.chmod(0o644)
    _close_folders(spool)
    assert [mode(path) for path in (spool, audio, *files)] == [0o700, 0o700, 0o600, 0o600]
    _close_folders(tmp_path / "not there")


def test_a_folder_that_is_everybodys_on_purpose_stays_so(tmp_path: Path) -> None:
    tmp_path.chmod(0o1777)
    close_to_others(tmp_path)
    assert mode(tmp_path) == 0o1777


def test_a_log_is_for_nobody_else_also_where_it_was_there(tmp_path: Path) -> None:
    old, new = tmp_path / "old.log", tmp_path / "new.log"
    old.write_text("before\n")
    old.chmod(0o644)
    for path in (old, new):
        with opened(path, "a") as file:
            file.write("after\n")
    assert [mode(path) for path in (old, new)] == [0o600, 0o600]
    assert old.read_text() == "before\nafter\n"


def test_a_secret_is_made_once_by_however_many(tmp_path: Path) -> None:
    path, numbers = tmp_path / "data" / "secret", count()
    with ThreadPoolExecutor(8) as pool:
        kept = set(pool.map(lambda _: kept_text(path, lambda: f"secret {next(numbers)}"), range(32)))
    assert kept == {path.read_text()}
    assert mode(path) == 0o600
    assert list(path.parent.iterdir()) == [path]


def test_a_secret_that_others_could_read_is_closed(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    path.write_text("kept")
    path.chmod(0o644)
    assert kept_text(path, lambda: "another") == "kept"
    assert mode(path) == 0o600
