"""`python -m web`, as somebody types it, and the web part that `dev` starts."""

import os
import subprocess
import sys
from pathlib import Path

import httpx2
import pytest
from pydantic import SecretStr

from agent.local.web import running_web
from agent.settings import Settings
from bench.stack import PROJECT
from db.pool import Pool


def web(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    return subprocess.run(
        [sys.executable, "-m", "web", *arguments],
        env=kept | {"NO_COLOR": "1", "COLUMNS": "200"} | environment,
        cwd=PROJECT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_it_explains_itself() -> None:
    told = web("--help")
    assert told.returncode == 0
    for word in (
        "--host",
        "--port",
        "settings",
        "guards who may sign in",
        "WEB_JWT_SECRET",
        "WEB_ALLOWED_ORIGINS",
    ):
        assert word in told.stdout


def test_it_names_everything_that_is_missing_at_once() -> None:
    refused = web()
    assert refused.returncode == 2
    assert "DATABASE_URL" in refused.stderr
    assert "WEB_JWT_SECRET" in refused.stderr
    assert "Traceback" not in refused.stderr


def test_a_wrong_setting_is_named_in_one_line() -> None:
    refused = web(WEB_PORT="eighty")
    assert refused.returncode == 2
    assert "WEB_PORT" in refused.stderr
    assert "Traceback" not in refused.stderr


def test_the_readme_lists_the_settings_as_they_are() -> None:
    table = web("settings", "--markdown").stdout
    assert "WEB_JWT_SECRET" in table
    assert table in (PROJECT / "README.md").read_text("utf-8")


async def test_the_link_of_dev_signs_a_developer_in(
    dsn: str, pool: Pool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WEB_JWT_SECRET", "")
    await pool.execute(
        "insert into sessions (session_id, room_name, mode, status, start_time, counselor_category) "
        "values (gen_random_uuid(), 'r', 'voice', 'in_progress', now(), 'of somebody')"
    )
    settings = Settings(_env_file=None, database_url=SecretStr(dsn), recorder_data_dir=tmp_path)
    with running_web(settings) as server:
        async with httpx2.AsyncClient(follow_redirects=True, timeout=20) as browser:
            page = await browser.get(server.link())
            assert "Of somebody" in page.text
            assert "In Progress" in page.text
            assert page.url.path == "/session-history"
        secret = tmp_path / "web.secret"
        assert secret.stat().st_mode & 0o077 == 0
        kept = secret.read_text()
    with running_web(settings) as again:
        async with httpx2.AsyncClient(timeout=20) as browser:
            assert (await browser.get(again.url + "/health")).json()["status"] == "ok"
    assert secret.read_text() == kept
