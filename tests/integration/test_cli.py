"""The commands, as somebody types them."""

import os
import socket
import subprocess
import sys

import pytest

from agent.local.sfu import Sfu
from bench.stack import PROJECT

COMMANDS = ["dev", "start", "demo", "show", "migrate", "doctor", "whisper", "settings"]


def agent(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    return subprocess.run(
        [sys.executable, "-m", "agent", *arguments],
        env=kept | {"NO_COLOR": "1", "COLUMNS": "200"} | environment,
        cwd=PROJECT,
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(command: str) -> None:
    told = agent(command, "--help")
    assert told.returncode == 0
    assert command in told.stdout
    assert command in agent("--help").stdout


def test_start_names_everything_that_is_missing_at_once() -> None:
    refused = agent("start", LIVEKIT_URL="ws://127.0.0.1:1")
    assert refused.returncode == 2
    for name in ("LIVEKIT_API_KEY", "LIVEKIT_API_SECRET", "DATABASE_URL", "OPENAI_API_KEY"):
        assert name in refused.stderr
    assert "Traceback" not in refused.stderr


def test_a_wrong_setting_is_named_in_one_line() -> None:
    refused = agent("start", RECORDER_STATS_INTERVAL="often")
    assert refused.returncode == 2
    assert "RECORDER_STATS_INTERVAL" in refused.stderr
    assert "Traceback" not in refused.stderr


async def test_migrate_applies_the_schema(dsn: str) -> None:
    done = agent("migrate", DATABASE_URL=dsn)
    assert done.returncode == 0, done.stderr


def test_migrate_without_a_database_says_so_in_one_line() -> None:
    refused = agent("migrate", DATABASE_URL="postgresql://nobody@127.0.0.1:1/nothing")
    assert refused.returncode == 2
    assert "Traceback" not in refused.stderr
    assert "DATABASE_URL" in refused.stderr


async def test_doctor_finds_all_well(sfu: Sfu, dsn: str, whisper_url: str) -> None:
    healthy = agent(
        "doctor",
        LIVEKIT_URL=sfu.url,
        LIVEKIT_API_KEY=sfu.api_key,
        LIVEKIT_API_SECRET=sfu.api_secret,
        DATABASE_URL=dsn,
        OPENAI_BASE_URL=whisper_url,
    )
    assert healthy.returncode == 0, healthy.stdout
    assert healthy.stdout.count("ok") >= 4


def test_doctor_says_what_to_do_about_each(sfu: Sfu) -> None:
    unwell = agent(
        "doctor",
        LIVEKIT_URL=sfu.url,
        LIVEKIT_API_KEY=sfu.api_key,
        LIVEKIT_API_SECRET="not-the-secret-not-the-secret-not-the-secret",
        DATABASE_URL="postgresql://nobody@127.0.0.1:1/nothing",
        OPENAI_BASE_URL="http://127.0.0.1:1/v1",
    )
    assert unwell.returncode == 1
    for advice in ("check LIVEKIT_API_KEY", "check DATABASE_URL", "check OPENAI_BASE_URL"):
        assert advice in unwell.stdout
    assert "Traceback" not in unwell.stdout + unwell.stderr


def test_the_readme_lists_the_settings_as_they_are() -> None:
    table = agent("settings", "--markdown").stdout
    assert "RECORDER_ROOM_PREFIX" in table
    assert table in (PROJECT / "README.md").read_text("utf-8")


def test_a_taken_health_port_is_told_with_what_to_do(sfu: Sfu) -> None:
    with socket.create_server(("0.0.0.0", 0)) as taken:
        port = str(taken.getsockname()[1])
        refused = agent(
            "start",
            LIVEKIT_URL=sfu.url,
            LIVEKIT_API_KEY=sfu.api_key,
            LIVEKIT_API_SECRET=sfu.api_secret,
            DATABASE_URL="postgresql://nobody@127.0.0.1:1/nothing",
            OPENAI_BASE_URL="http://127.0.0.1:1/v1",
            RECORDER_HEALTH_PORT=port,
        )
    assert refused.returncode == 2
    assert f"port {port} is taken: set RECORDER_HEALTH_PORT" in refused.stderr
