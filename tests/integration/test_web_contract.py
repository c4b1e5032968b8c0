"""The API does what its OpenAPI description says, whatever is thrown at it (schemathesis)."""

import asyncio
import json
import subprocess
import sys
from pathlib import Path
from uuid import UUID

import pytest

from agent.local.sfu import Sfu
from tests.integration.web_client import finished, serving, token

OWNER = UUID("5b1e0a3c-93a1-4f0a-8c51-0e9f2c3d4e5f")
SESSION = UUID("0b9ec1a0-6a0e-4c57-9a43-5d2f6f1f3a10")  # the examples' own: what is asked for exists

# More entries than a transcript may have are more than a body may have, too.
REFUSALS = "[checks.negative_data_rejection]\nexpected-statuses = [400, 401, 403, 404, 413, 422]\n"


@pytest.mark.slow
async def test_no_server_error_and_no_broken_promise(dsn: str, sfu: Sfu, tmp_path: Path) -> None:
    (tmp_path / "schemathesis.toml").write_text(REFUSALS)
    async with serving(dsn, sfu) as web:
        saved = await web.user(OWNER).post("/api/sessions/save", json=finished(SESSION))
        assert saved.status_code == 201
        checked = await asyncio.to_thread(
            subprocess.run,
            [
                str(Path(sys.executable).with_name("schemathesis")),
                "run",
                f"{web.url}/api/openapi.json",
                "--header",
                f"Authorization: Bearer {token(OWNER)}",
                "--checks",
                "all",
                "--exclude-checks",  # a schema cannot say that an end comes after its beginning
                "positive_data_acceptance",
                "--max-examples",
                "25",
                "--seed",
                "1",
                "--generation-database",
                "none",
                "--no-color",
            ],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=360,
            check=False,
        )
    assert checked.returncode == 0, checked.stdout[-6000:] + checked.stderr[-2000:]


async def test_every_call_has_examples_of_what_it_takes_and_problems_it_may_answer(dsn: str) -> None:
    async with serving(dsn) as web:
        spec = (await web.client().get("/api/openapi.json")).json()
    for route, methods in spec["paths"].items():
        for method, call in methods.items():
            assert call.get("description"), (method, route)
            if call.get("security"):
                problems = [a for code, a in call["responses"].items() if code.startswith("4")]
                assert all("application/problem+json" in answer["content"] for answer in problems)
    for told in ("ToldSession", "ToldWords", "ToldJoin", "ToldLeave"):
        fields = spec["components"]["schemas"][told]
        for name in fields["required"]:
            field = fields["properties"][name]
            assert "examples" in field or "enum" in field or "$ref" in json.dumps(field), (told, name)
