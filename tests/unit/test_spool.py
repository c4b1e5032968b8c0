import json
import resource
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import UUID

import pytest
from structlog.testing import capture_logs

from agent.allowance import Allowance
from agent.backlog import Backlog
from agent.session.events import Event
from agent.spool import Spool, Spooled, abandoned, read
from tests.unit.builders import SESSION_ID, STUDENT_ID, ended, gap, heard, info, joined, left, reading, scored

EVENTS: list[Event] = [
    joined(0.001, name="Ada", user_id=STUDENT_ID),
    heard(1.25, "two\nlines\r\u2028\x85 “quoted” 🙂", lasting=2.345, language="fr"),
    reading(10, fps=29.97, packets_lost=0, packets_received=1000),
    scored(11, "poor"),
    gap(12, 13, identity="student"),
    left(60),
    ended(60),
]


@pytest.fixture
def spool(tmp_path: Path) -> Iterator[Spool]:
    opened = Spool(tmp_path, info(), "host-1-abc")
    yield opened
    opened.close()


def only_file(folder: Path) -> Path:
    (path,) = folder.iterdir()
    return path


def test_what_was_spooled_is_read_back(spool: Spool, tmp_path: Path) -> None:
    spool.append(EVENTS[:3])
    spool.append(EVENTS[3:])
    assert read(only_file(tmp_path)) == Spooled(info(), "host-1-abc", EVENTS)


def test_everything_known_of_the_session_is_read_back(tmp_path: Path) -> None:
    told = info(user_id=UUID(STUDENT_ID), counselor_category="career", mode="voice")
    spool = Spool(tmp_path, told, "owner")
    spool.append([])
    assert read(only_file(tmp_path)).info == told
    spool.close()


def test_there_is_no_file_before_there_are_events(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "not" / "yet", info(), "owner")
    spool.clear()
    spool.close()
    assert list(tmp_path.iterdir()) == []


def test_folders_are_made_and_only_their_owner_may_look(tmp_path: Path) -> None:
    folder = tmp_path / "spool"
    spool = Spool(folder, info(), "owner")
    spool.append(EVENTS)
    assert folder.stat().st_mode & 0o777 == 0o700
    assert only_file(folder).stat().st_mode & 0o777 == 0o600
    spool.close()


def test_events_are_on_the_disk_when_append_returns(spool: Spool, tmp_path: Path) -> None:
    spool.append(EVENTS[:1])
    assert read(only_file(tmp_path)).events == EVENTS[:1]
    spool.append(EVENTS[1:2])
    assert read(only_file(tmp_path)).events == EVENTS[:2]


def test_two_recorders_of_one_session_have_a_file_each(tmp_path: Path) -> None:
    spools = [Spool(tmp_path, info(), owner) for owner in ("host-1", "host.example.org-2")]
    for spool in spools:
        spool.append(EVENTS)
        spool.close()
    with abandoned(tmp_path) as paths:
        assert {read(path).owner for path in paths} == {"host-1", "host.example.org-2"}
        assert all(path.name.startswith(str(SESSION_ID)) for path in paths)


@pytest.mark.parametrize("torn_off", [1, 2, 10, 60])
def test_a_line_torn_by_a_crash_is_left_out(spool: Spool, tmp_path: Path, torn_off: int) -> None:
    spool.append([*EVENTS, heard(70, "and then she said that it was over")])
    path = only_file(tmp_path)
    path.write_bytes(path.read_bytes()[: -torn_off - 1])  # the line's end does not count
    assert read(path).events == EVENTS


def test_a_line_torn_within_a_letter_is_left_out(spool: Spool, tmp_path: Path) -> None:
    spool.append([joined(0), heard(1, "🙂")])
    path = only_file(tmp_path)
    torn = path.read_bytes()
    path.write_bytes(torn[: torn.index("🙂".encode()) + 2])
    assert read(path).events == [joined(0)]


def test_a_line_without_its_line_feed_is_whole(spool: Spool, tmp_path: Path) -> None:
    spool.append(EVENTS)
    path = only_file(tmp_path)
    path.write_bytes(path.read_bytes().removesuffix(b"\n"))
    assert read(path).events == EVENTS


def test_a_file_that_is_not_even_begun_is_a_value_error(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    path.write_bytes(b"")
    with pytest.raises(ValueError, match="empty"):
        read(path)
    path.write_bytes(b'{"session_id": "0b9e')
    with pytest.raises(ValueError, match="empty"):
        read(path)


def test_the_file_is_one_json_object_a_line(spool: Spool, tmp_path: Path) -> None:
    spool.append(EVENTS)
    lines = only_file(tmp_path).read_bytes().split(b"\n")
    assert lines.pop() == b""
    assert [json.loads(line).get("kind", "header") for line in lines] == [
        "header",
        *(type(event).__name__ for event in EVENTS),
    ]


def test_the_file_of_a_living_recorder_is_not_abandoned(spool: Spool, tmp_path: Path) -> None:
    spool.append(EVENTS)
    with abandoned(tmp_path) as paths:
        assert paths == []
    spool.append(EVENTS)  # nor has looking harmed it
    spool.close()
    with abandoned(tmp_path) as paths:
        assert paths == [only_file(tmp_path)]


def test_whoever_replays_a_file_holds_it(spool: Spool, tmp_path: Path) -> None:
    spool.append(EVENTS)
    spool.close()
    with abandoned(tmp_path) as mine, abandoned(tmp_path) as others:
        assert len(mine) == 1
        assert others == []
    with abandoned(tmp_path) as again:
        assert len(again) == 1


def test_what_a_recorder_that_was_killed_leaves_is_abandoned(tmp_path: Path) -> None:
    killed = subprocess.run(
        [
            sys.executable,
            "-c",
            "import os, signal, sys; from pathlib import Path\n"
            "from agent.spool import Spool; from tests.unit.builders import info, joined\n"
            "Spool(Path(sys.argv[1]), info(), 'owner').append([joined(0)])\n"
            "os.kill(os.getpid(), signal.SIGKILL)",
            str(tmp_path),
        ],
        cwd=Path(__file__).parents[2],
        check=False,
    )
    assert killed.returncode == -9
    with abandoned(tmp_path) as paths:
        assert [read(path).events for path in paths] == [[joined(0)]]


def test_no_folder_means_nothing_abandoned(tmp_path: Path) -> None:
    with abandoned(tmp_path / "nowhere") as paths:
        assert paths == []


def test_events_that_are_in_the_database_leave_no_file(spool: Spool, tmp_path: Path) -> None:
    spool.append(EVENTS)
    spool.clear()
    assert list(tmp_path.iterdir()) == []


def test_after_clearing_the_next_events_begin_a_new_file(spool: Spool, tmp_path: Path) -> None:
    spool.append(EVENTS[:3])
    spool.clear()
    spool.append(EVENTS[3:])
    assert read(only_file(tmp_path)).events == EVENTS[3:]


def test_a_closed_file_stays(spool: Spool, tmp_path: Path) -> None:
    spool.append(EVENTS)
    spool.close()
    spool.clear()
    assert read(only_file(tmp_path)).events == EVENTS


@contextmanager
def disk_full_after(size: int) -> Iterator[None]:
    """No file may grow beyond `size` bytes: writing more fails as it does on a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize("size", [0, 50, 400, 1000, 9000, 20_000])
def test_a_disk_that_was_full_for_a_while_costs_no_event(spool: Spool, tmp_path: Path, size: int) -> None:
    words: list[Event] = [heard(n, f"{n} " + "wörter " * 20) for n in range(400)]
    spool.append(words[:1] if size >= 1000 else [])
    with disk_full_after(size), pytest.raises(OSError, match="File too large"):
        spool.append(words)
    spool.append(words)
    spool.append(EVENTS)
    assert set(read(only_file(tmp_path)).events) == {*words, *EVENTS}


async def test_a_spool_that_may_not_grow_is_told_once_and_costs_nothing_while_memory_lasts(
    tmp_path: Path,
) -> None:
    (tmp_path / "of-somebody-else.jsonl").write_bytes(bytes(1000))
    full = Allowance(tmp_path, 1000, "RECORDER_SPOOL_MB")
    backlog = Backlog(Spool(tmp_path, info(), "owner", allowance=full))
    with capture_logs() as logged:
        for event in EVENTS:
            backlog.add(event)
            assert not await backlog.secure()
    assert [(line["event"], line["reason"]) for line in logged] == [("spool_failed", "EDQUOT")]
    assert backlog.all() == EVENTS
    assert [path.name for path in tmp_path.iterdir()] == ["of-somebody-else.jsonl"]


async def test_a_spool_goes_on_when_there_is_room_again(tmp_path: Path) -> None:
    backlog = Backlog(Spool(tmp_path, info(), "owner"))
    for event in EVENTS:
        backlog.add(event)
    with capture_logs() as logged, disk_full_after(0):
        assert not await backlog.secure()
    assert [line["event"] for line in logged] == ["spool_failed"]
    assert await backlog.secure()
    backlog.abandon()
    assert read(only_file(tmp_path)).events == EVENTS
