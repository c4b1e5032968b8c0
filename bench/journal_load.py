"""The load of `bench.database`: PostgreSQL's own pgbench sends what recorders send, for the price of C.

Each of its clients goes round its share of the rooms. Transactions begin at random times, so many a second;
an answer's time counts from when its transaction was due.
"""

import asyncio
import json
import os
import re
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import md5
from pathlib import Path
from uuid import UUID

import psutil

from agent.local.postgres import EmbeddedPostgres
from agent.local.postgres_folder import programs
from agent.session.errors import RecorderError
from agent.session.events import Event, QualityRead, UtteranceHeard, to_row
from agent.session.rooms import SessionInfo
from bench.procfs import read_cpu
from db.lease import LEASE_SECONDS, Lease, claim
from db.pool import open_pool
from db.queries import queries

CLIENTS = 24  # of pgbench, each with a connection
WORDS = "These are the words that somebody says, a sentence of the usual length of ten to twenty of them."
_OWNER = "bench"


@dataclass(frozen=True)
class Load:
    """How long each flush took from when it was due, in s; cores that PostgreSQL kept busy, and all did."""

    took: list[float]
    postgres_cores: float
    machine_cores: float


async def claim_rooms(dsn: str, step: int, rooms: int) -> None:
    """A recorder holds the lease of each room, as far as the database can tell."""
    pool = await open_pool(dsn, max_size=CLIENTS)
    try:
        for first in range(0, rooms, CLIENTS):
            ids = [_session_id(step, room) for room in range(first, min(first + CLIENTS, rooms))]
            infos = [SessionInfo(i, f"coaching-{i}", f"RM_{i}", None, None, "video") for i in ids]
            claimed = await asyncio.gather(*(claim(pool, i, datetime.now(UTC), _OWNER) for i in infos))
            assert all(isinstance(one, Lease) for one in claimed)
    finally:
        pool.terminate()


def flush(server: EmbeddedPostgres, step: int, rooms: int, rate: float, seconds: float) -> Load:
    """So many flushes a second, for so long. Raises RecorderError when pgbench fails."""
    assert server.pid is not None
    with tempfile.TemporaryDirectory(prefix="pgbench-") as name:
        script = Path(name) / "flush.sql"
        script.write_text(_script())
        variables = {"step": step, "rooms": rooms, "turn": 0, **_payloads()}
        command: list[str | Path] = [
            *(programs() / "pgbench", "--no-vacuum", "--protocol=prepared", f"--file={script}"),
            *(f"--client={CLIENTS}", f"--jobs={os.cpu_count() or 1}", f"--time={seconds:.0f}"),
            *(f"--rate={rate:.3f}", "--log", f"--log-prefix={name}/log"),
            *(f"--define={key}={value}" for key, value in variables.items()),
            server.dsn,
        ]
        before, _ = read_cpu(server.pid), psutil.cpu_percent()
        ran = subprocess.run(command, capture_output=True, text=True, check=False)
        cores = read_cpu(server.pid).percent_since(before) / 100
        machine = psutil.cpu_percent() / 100 * (os.cpu_count() or 1)
        if ran.returncode or "ERROR" in ran.stderr:
            raise RecorderError(f"pgbench failed: {ran.stderr.strip()[-500:]}")
        return Load(list(_took(Path(name))), cores, machine)


def _script() -> str:
    """In turns: an utterance, and the readings of both microphones."""
    return rf"""
\set turn :turn + 1
\set share (:rooms - 1) / {CLIENTS} + 1
\set round :turn / :share
\set room (:client_id + {CLIENTS} * (:turn % :share)) % :rooms
\set seq 2 * :turn
\set next :seq + 1
\if (:turn + :round) % 2 = 0
{_statement("array[:seq]", "array['UtteranceHeard']", "array[:utterance]")};
\else
{_statement("array[:seq, :next]", "array['QualityRead', 'QualityRead']", "array[:reading, :another]")};
\endif
"""


def _statement(seqs: str, kinds: str, data: str) -> str:
    """The recorder's own, with pgbench's variables for its parameters."""
    times = f"array_fill(clock_timestamp(), array[cardinality({kinds})])"
    values = {
        "1": "md5(:step || '/' || :room)::uuid",
        "2": f"'{_OWNER}'",
        "3": "1",
        "4": str(LEASE_SECONDS),
        "5": "null::text",
        "6": seqs,
        "7": times,
        "8": kinds,
        "9": data,
        "10": "'[]'::jsonb",
    }
    without_comments = re.sub(r"--.*", "", queries["write_changes"])
    return re.sub(r"\$(\d+)", lambda found: values[found[1]], without_comments)


def _session_id(step: int, room: int) -> UUID:
    return UUID(md5(f"{step}/{room}".encode(), usedforsecurity=False).hexdigest())


def _payloads() -> dict[str, str]:
    now = datetime.now(UTC)
    utterance = UtteranceHeard(
        at=now - timedelta(seconds=4), end=now, identity="student-1", text=WORDS, source="whisper"
    )
    events: dict[str, Event] = {
        "utterance": utterance,
        "reading": _reading(now, "student-1"),
        "another": _reading(now, "counselor-1"),
    }
    return {name: json.dumps(to_row(event)[2], separators=(",", ":")) for name, event in events.items()}


def _reading(at: datetime, identity: str) -> QualityRead:
    return QualityRead(
        at=at,
        seconds=10.0,
        identity=identity,
        track_sid=f"TR_{identity}",
        source="microphone",
        leg="sfu_to_recorder",
        bitrate_kbps=32.1,
        fps=None,
        packets_lost=0,
        packets_received=500,
        jitter_ms=2.0,
        round_trip_ms=20.0,
        width=None,
        height=None,
        mos=4.3,
    )


def _took(folder: Path) -> Iterator[float]:
    """Of pgbench's logs: the third number of a line is what it took since it was due, in microseconds."""
    lines: Sequence[str] = [line for log in folder.glob("log.*") for line in log.read_text().splitlines()]
    return (int(line.split()[2]) / 1e6 for line in lines)
