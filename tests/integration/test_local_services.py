"""What `dev`, `demo` and these tests stand on: a LiveKit server, PostgreSQL and Whisper of our own."""

import asyncio
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import httpx2 as httpx
import psutil
import pytest
from livekit import api

from agent.local.models import resolve_model
from agent.local.postgres import EmbeddedPostgres, run_postgres
from agent.local.processes import ChildProcess, free_port
from agent.local.services import local_services
from agent.local.sfu import KEY_FILE, Sfu, SfuServer, api_key, run_sfu
from agent.session.errors import ServiceNotStarted
from agent.settings import Settings

SPEECH = Path(__file__).parents[1] / "speech"
PROJECT = Path(__file__).parents[2]


# --- LiveKit server


async def room_names(sfu: Sfu) -> list[str]:
    async with api.LiveKitAPI(sfu.url, sfu.api_key, sfu.api_secret) as livekit:
        return [room.name for room in (await livekit.room.list_rooms(api.ListRoomsRequest())).rooms]


async def test_a_livekit_server_starts_and_lists_its_rooms(tmp_path: Path) -> None:
    with run_sfu(tmp_path) as server:
        async with api.LiveKitAPI(server.url, server.api_key, server.api_secret) as livekit:
            await livekit.room.create_room(api.CreateRoomRequest(name="coaching-1"))
        assert await room_names(server) == ["coaching-1"]
    assert not psutil.pid_exists(server.pid)


def test_a_livekit_server_listens_on_loopback_only(tmp_path: Path) -> None:
    with run_sfu(tmp_path) as server:
        assert {connection.laddr.ip for connection in listening(server.pid)} == {"127.0.0.1"}


async def test_a_livekit_server_has_a_secret_of_its_own_that_nobody_else_can_read(tmp_path: Path) -> None:
    with run_sfu(tmp_path / "one") as server, run_sfu(tmp_path / "two") as other:
        key_file = tmp_path / "one" / KEY_FILE
        assert api_key(key_file) == (server.api_key, server.api_secret)
        assert (server.api_key, server.api_secret) != (other.api_key, other.api_secret)
        assert key_file.stat().st_mode & 0o077 == 0
        stranger = Sfu(server.url, server.api_key, other.api_secret, server.pid)
        with pytest.raises(api.TwirpError):
            await room_names(stranger)
        readable = [path for path in (tmp_path / "one").iterdir() if server.api_secret in path.read_text()]
        assert readable == [key_file]


def test_what_the_services_keep_is_for_nobody_else(folder: Path) -> None:
    with run_postgres(folder / "data" / "postgres"), run_sfu(folder / "data"):
        logs = [folder / "data" / "livekit-server.log", folder / "data" / "postgres" / "postgres.log"]
        assert [log.stat().st_mode & 0o077 for log in logs] == [0, 0]
        assert (folder / "data").stat().st_mode & 0o066 == 0


async def test_a_killed_livekit_server_comes_back_at_the_same_address(tmp_path: Path) -> None:
    server = SfuServer(tmp_path)
    try:
        first = server.start()
        server.kill()
        second = server.start()
        assert (second.url, second.api_secret, await room_names(second)) == (first.url, first.api_secret, [])
        assert second.pid != first.pid
    finally:
        server.stop()


def test_a_missing_livekit_server_is_reported_with_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ServiceNotStarted, match="run `make setup`, or put it on PATH"):
        SfuServer(tmp_path).start()


def test_a_server_that_cannot_start_says_why(tmp_path: Path) -> None:
    server = SfuServer(tmp_path, overrides={"no_such_option": 1})
    with pytest.raises(ServiceNotStarted, match="no_such_option"):
        server.start()


def test_a_taken_port_is_reported(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ServiceNotStarted, match=f"port {port} is taken"):
            SfuServer(tmp_path, port=port).start()


# --- PostgreSQL


async def remembered(dsn: str, *words: str) -> list[str]:
    """Write words, and read all that were ever written."""
    connection = await asyncpg.connect(dsn)
    await connection.execute("create table if not exists remembered (word text)")
    await connection.executemany("insert into remembered values ($1)", [(word,) for word in words])
    rows = await connection.fetch("select word from remembered order by word")
    await connection.close()
    return [row["word"] for row in rows]


@pytest.fixture
def folder() -> Iterator[Path]:
    """Not `tmp_path`: as root, another pytest that starts meanwhile closes that to the server's user."""
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder)


@pytest.fixture
def server(folder: Path) -> Iterator[EmbeddedPostgres]:
    server = EmbeddedPostgres(folder / "postgres")
    server.start()
    yield server
    server.stop()


async def test_postgres_keeps_data_and_address_over_stop_and_start(server: EmbeddedPostgres) -> None:
    address = server.dsn
    await remembered(address, "a")
    server.stop()
    assert server.start() == address
    await remembered(address, "b")
    server.stop(immediate=True)
    server.start()
    assert await remembered(address, "c") == ["a", "b", "c"]


async def test_postgres_survives_kill_9(server: EmbeddedPostgres) -> None:
    await remembered(server.dsn, "a")
    assert server.pid
    os.kill(server.pid, signal.SIGKILL)
    server.start()
    assert await remembered(server.dsn) == ["a"]


async def test_postgres_is_reached_through_its_private_socket_alone(server: EmbeddedPostgres) -> None:
    assert server.pid
    assert listening(server.pid) == []
    sockets = server.dsn.split("host=")[1].split("&")[0]
    assert Path(sockets).stat().st_mode & 0o077 == 0


def test_one_folder_is_not_served_twice(server: EmbeddedPostgres, folder: Path) -> None:
    with pytest.raises(ServiceNotStarted, match="in use by another process"):
        EmbeddedPostgres(folder / "postgres").start()
    assert server.pid


async def test_a_folder_with_a_long_name_gets_a_short_socket(folder: Path) -> None:
    with run_postgres(folder / ("long" * 30)) as dsn:
        assert await remembered(dsn, "a") == ["a"]


# --- Whisper


async def transcribed(base_url: str, file: bytes, **fields: str) -> httpx.Response:
    async with httpx.AsyncClient(timeout=120) as client:
        return await client.post(
            f"{base_url}/audio/transcriptions", files={"file": ("file.flac", file)}, data=fields
        )


def sentence(name: str) -> tuple[bytes, str]:
    words = dict(line.split(" ", 1) for line in (SPEECH / "words.txt").read_text().splitlines())
    return (SPEECH / f"{name}.flac").read_bytes(), words[name]


def as_spoken(text: str) -> str:
    return " ".join(re.findall(r"[a-z']+", text.lower()))


async def test_whisper_hears_a_known_sentence(whisper_url: str) -> None:
    sound, words = sentence("austen-0880")
    answer = await transcribed(whisper_url, sound, model="whisper-1")
    assert as_spoken(answer.json()["text"]) == words


async def test_whisper_does_not_work_for_any_page_that_is_open_in_a_browser(whisper_url: str) -> None:
    async with httpx.AsyncClient(timeout=120, headers={"Origin": "https://any.example"}) as page:
        files = {"file": ("file.flac", sentence("austen-0880")[0])}
        answer = await page.post(f"{whisper_url}/audio/transcriptions", files=files)
    assert (answer.status_code, answer.json()["error"]["code"]) == (403, "origin_not_allowed")


async def test_whisper_tells_when_each_word_was_said(whisper_url: str) -> None:
    sound, words = sentence("austen-0930")
    fields = {"response_format": "verbose_json", "timestamp_granularities[]": "word"}
    heard = (await transcribed(whisper_url, sound, **fields)).json()
    assert heard["language"] == "en"
    assert as_spoken(" ".join(word["word"] for word in heard["words"])) == words
    starts = [word["start"] for word in heard["words"]]
    assert starts == sorted(starts)
    assert 0 <= starts[0] < starts[-1] < heard["duration"]


async def test_requests_at_once_wait_their_turn(whisper_url: str) -> None:
    names = ["austen-0880", "austen-0930", "austen-0880"]
    answers = await asyncio.gather(*(transcribed(whisper_url, sentence(name)[0]) for name in names))
    assert [as_spoken(answer.json()["text"]) for answer in answers] == [sentence(name)[1] for name in names]


@pytest.mark.parametrize(
    ("file", "fields", "status", "code"),
    [
        pytest.param(b"these are words, not sound", {}, 400, "invalid_file", id="not audio"),
        pytest.param(b"", {}, 400, "invalid_file", id="empty"),
        pytest.param(bytes(25 * 1024 * 1024 + 1), {}, 413, "file_too_large", id="too large"),
        pytest.param(b"x", {"response_format": "xml"}, 400, "invalid_request", id="unknown format"),
        pytest.param(b"x", {"language": "klingon"}, 400, "invalid_language_format", id="unknown language"),
    ],
)
async def test_a_bad_request_is_refused_as_openai_does(
    whisper_url: str, file: bytes, fields: dict[str, str], status: int, code: str
) -> None:
    answer = await transcribed(whisper_url, file, **fields)
    error = answer.json()["error"]
    assert (answer.status_code, error["type"], error["code"]) == (status, "invalid_request_error", code)
    assert error["message"]


def test_the_base_model_is_put_together_once(tmp_path: Path) -> None:
    folder = Path(resolve_model("base", tmp_path))
    joined = (folder / "model.bin").stat()
    assert joined.st_size == 145_217_607
    assert resolve_model("base", tmp_path) == str(folder)
    assert (folder / "model.bin").stat().st_mtime_ns == joined.st_mtime_ns
    assert [path.name for path in tmp_path.iterdir()] == ["base"]


def test_a_model_is_a_folder_or_a_name() -> None:
    assert resolve_model(str(SPEECH)) == str(SPEECH)
    assert resolve_model("distil-small.en") == "distil-small.en"
    with pytest.raises(ServiceNotStarted, match="no Whisper model at"):
        resolve_model("/no/such/folder")


# --- all together


def test_what_is_configured_is_not_started(folder: Path) -> None:
    configured = Settings(
        livekit_url="ws://a",
        database_url="postgresql://b",
        openai_base_url="http://c",
        recorder_data_dir=folder,
    )
    said: list[str] = []
    with local_services(configured, said.append) as settings:
        assert settings == configured
    assert said == []


async def test_what_is_not_configured_is_started(folder: Path) -> None:
    open_settings = Settings(
        livekit_url="", database_url="", openai_base_url="http://c", recorder_data_dir=folder
    )
    said: list[str] = []
    with local_services(open_settings, said.append) as settings:
        settings.require_complete()
        key, secret = settings.livekit_api_key, settings.livekit_api_secret.get_secret_value()
        assert await room_names(Sfu(settings.livekit_url, key, secret, 0)) == []
        assert await remembered(settings.database_url.get_secret_value(), "a") == ["a"]
    assert any(settings.livekit_url in line and f"LIVEKIT_API_KEY={key}" in line for line in said)
    assert not any(settings.livekit_api_secret.get_secret_value() in line for line in said)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a child that its parent died")
def test_nothing_outlives_a_parent_killed_with_9(folder: Path) -> None:
    script = (
        "import sys, time; from pathlib import Path\n"
        "from agent.local.postgres import EmbeddedPostgres; from agent.local.sfu import SfuServer\n"
        "folder = Path(sys.argv[1]); sfu = SfuServer(folder); postgres = EmbeddedPostgres(folder / 'pg')\n"
        "print(sfu.start().pid, postgres.start() and postgres.pid, flush=True); time.sleep(600)"
    )
    command = [sys.executable, "-c", script, str(folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=PROJECT) as parent:
        assert parent.stdout
        children = [psutil.Process(int(pid)) for pid in parent.stdout.readline().split()]
        parent.kill()
    _, alive = psutil.wait_procs(children, timeout=20)
    # A process that its new parent has not yet taken note of is dead all the same.
    assert [child for child in alive if child.status() != psutil.STATUS_ZOMBIE] == []
    with run_postgres(folder / "pg"):
        pass  # and the next start finds the folder in order


def test_a_child_that_is_late_is_ended_and_reported(tmp_path: Path) -> None:
    child = ChildProcess("sleeper", [sys.executable, "-c", "import time; time.sleep(600)"], tmp_path / "log")
    with pytest.raises(ServiceNotStarted, match=r"sleeper not ready after 0.1 s"):
        child.wait_until(lambda: False, timeout=0.1)
    assert not child.running


def test_a_preferred_port_is_given_while_it_is_free() -> None:
    port = free_port()
    assert free_port(port) == port
    with socket.create_server(("127.0.0.1", port)):
        assert free_port(port) != port


def listening(pid: int) -> list[psutil._ntuples.pconn]:
    """The network sockets where somebody else could reach this process."""
    return [
        connection
        for connection in psutil.Process(pid).net_connections("inet")
        if connection.status == psutil.CONN_LISTEN or connection.type == socket.SOCK_DGRAM
    ]
