"""Real parts for every test: LiveKit, PostgreSQL, Whisper, and the recorder as a program of its own."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import asyncpg
import pytest

from agent.local.postgres import EmbeddedPostgres
from agent.local.sfu import Sfu, run_sfu
from agent.local.whisper import run_whisper
from bench.stack import Stack, running_stack
from db.pool import Pool, migrate, open_pool
from tests.integration.conversation import Conversation, hold
from tests.integration.web_client import Web, serving

# Rooms close 6 s after the last participant left, not 20: tests wait for it.
QUICK_ROOMS = {"room": {"departure_timeout": 6}}


@contextmanager
def migrated_postgres() -> Iterator[EmbeddedPostgres]:
    """Not under pytest's own folder: as root the server runs as somebody else, who may not look in there."""
    with TemporaryDirectory(prefix="recorder-test-") as folder:
        server = EmbeddedPostgres(Path(folder))
        asyncio.run(migrate(server.start()))
        try:
            yield server
        finally:
            server.stop()


@pytest.fixture(scope="session")
def sfu(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sfu]:
    with run_sfu(tmp_path_factory.mktemp("sfu"), overrides=QUICK_ROOMS) as server:
        yield server


@pytest.fixture
def sfu_of_its_own(tmp_path: Path) -> Iterator[Sfu]:
    """For a second worker: on the shared server it would be sent the rooms of other tests."""
    with run_sfu(tmp_path / "sfu", overrides=QUICK_ROOMS) as server:
        yield server


@pytest.fixture(scope="session")
def whisper_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with run_whisper(tmp_path_factory.mktemp("whisper"), "base") as base_url:
        yield base_url


@pytest.fixture(scope="session")
def postgres() -> Iterator[EmbeddedPostgres]:
    with migrated_postgres() as server:
        yield server


@pytest.fixture
async def dsn(postgres: EmbeddedPostgres, request: pytest.FixtureRequest) -> AsyncIterator[str]:
    """A database of the test's own, with the schema in it."""
    name = f"test_{abs(hash(request.node.nodeid))}"
    admin = await asyncpg.connect(postgres.dsn)
    await admin.execute(f'create database "{name}"')
    own = postgres.dsn.replace("/postgres?", f"/{name}?")
    await migrate(own)
    yield own
    await admin.execute(f'drop database "{name}" with (force)')
    await admin.close()


@pytest.fixture
async def pool(dsn: str) -> AsyncIterator[Pool]:
    opened = await open_pool(dsn, max_size=4)
    yield opened
    opened.terminate()


@pytest.fixture(scope="session")
def stack(
    sfu: Sfu, postgres: EmbeddedPostgres, whisper_url: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Stack]:
    """A recorder at work, shared by all tests that leave its services alone."""
    with running_stack(sfu, postgres, whisper_url, tmp_path_factory.mktemp("recorder")) as running:
        yield running


@pytest.fixture(scope="session")
def conversation(stack: Stack) -> Conversation:
    """One session, held once; many tests look at what was recorded of it."""
    return asyncio.run(hold(stack))


@pytest.fixture
def postgres_of_its_own() -> Iterator[EmbeddedPostgres]:
    """For a test that stops it."""
    with migrated_postgres() as server:
        yield server


@pytest.fixture
def stack_of_its_own(
    sfu_of_its_own: Sfu, postgres_of_its_own: EmbeddedPostgres, whisper_url: str, tmp_path: Path
) -> Iterator[Stack]:
    """A recorder that a test may stop, and whose database it may stop and start."""
    with running_stack(sfu_of_its_own, postgres_of_its_own, whisper_url, tmp_path / "recorder") as running:
        yield running


@pytest.fixture
async def web(dsn: str) -> AsyncIterator[Web]:
    """The web part, over a database of the test's own and without LiveKit."""
    async with serving(dsn) as running:
        yield running
