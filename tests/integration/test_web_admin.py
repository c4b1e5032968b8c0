"""What staff see of the recording itself, and the button that cleans up."""

import threading
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from livekit.agents import AgentServer

from agent.capacity import Capacity
from agent.duty import Duty
from agent.launcher import Launcher
from agent.local.sfu import Sfu
from agent.metrics import Metrics
from agent.reconciler import Reconciler
from agent.settings import Settings
from agent.supervision import Supervision
from agent.watch import Watch
from bench.stack import Stack, new_room, until
from db import fleet
from db.pool import Pool
from tests.integration.under_way import HELD, LOST, TOLD, report, three_under_way
from tests.integration.web_client import Web, finished, serving


@pytest.fixture
async def web(dsn: str, sfu: Sfu) -> AsyncIterator[Web]:
    async with serving(dsn, sfu) as running:
        yield running


async def test_sessions_with_their_recorder_and_lease(web: Web, pool: Pool) -> None:
    await three_under_way(pool)
    told = (await web.admin().get("/api/admin/overview")).json()
    assert [(UUID(s["session_id"]), s["recorded"], s["worker"], s["epoch"]) for s in told["sessions"]] == [
        (HELD, True, "worker-a", 1),
        (LOST, False, "worker-b", 3),
        (TOLD, False, None, 0),
    ]
    ran_out = datetime.fromisoformat(told["sessions"][1]["lease_expires_at"])
    assert timedelta(seconds=89) < datetime.fromisoformat(told["at"]) - ran_out < timedelta(seconds=120)
    page = (await (await web.reader(uuid4(), role="admin")).get("/admin")).text
    for words in (
        "1 with a recorder",
        "No recorder",
        "Told by a client only",
        "ran out 1m",
        f"coaching-{HELD}",
    ):
        assert words in page


async def test_workers_with_spool_and_reconciler(web: Web, pool: Pool) -> None:
    held = {"waiting": {"files": 2, "bytes": 1_400_000}, "rejected": {"files": 1, "bytes": 10}}
    spooled = {"spool": held, "audio": report()["disk"]["audio"]}
    await fleet.beat(pool, "worker-a", 3, ready=True, report=report(disk=spooled))
    await fleet.beat(pool, "worker-b", 0, ready=False, report=report(draining=True, trouble="OSError"))
    await pool.execute(
        "insert into workers (worker, seen_at) values ('worker-c', now() - interval '1 minute')"
    )
    await pool.execute("insert into recorder_starts values ('RM_bad', 'worker-a', 5, now())")
    told = (await web.admin().get("/api/admin/overview")).json()
    a, b, c = told["workers"]
    assert (a["worker"], a["alive"], a["ready"], a["rooms"], a["max_rooms"]) == (
        "worker-a",
        True,
        True,
        3,
        10,
    )
    assert a["spool"] == held
    seen, reconciled = (datetime.fromisoformat(a[name]) for name in ("seen_at", "reconciled_at"))
    assert seen - reconciled == timedelta(seconds=2)
    assert (b["draining"], b["ready"], b["trouble"]) == (True, False, "OSError")
    assert (c["alive"], c["reconciled_at"], c["max_rooms"]) == (False, None, None)
    assert [room["room_sid"] for room in told["rooms_given_up"]] == ["RM_bad"]
    page = (await (await web.reader(uuid4(), role="admin")).get("/admin")).text
    for words in (
        "2 files, 1.4 MB; 1 rejected",
        "3 of 10",
        "Draining",
        "No sign of life",
        "OSError",
        "RM_bad",
    ):
        assert words in page


async def test_without_workers_it_says_what_to_do(web: Web) -> None:
    page = (await (await web.reader(uuid4(), role="admin")).get("/admin")).text
    assert "python -m agent start" in page
    assert "No session is in progress." in page


async def test_cleaning_up_from_the_page(web: Web, pool: Pool) -> None:
    await three_under_way(pool)
    staff = await web.reader(uuid4(), role="admin")
    ours = {"origin": web.url}
    assert (await staff.post("/admin/cleanup")).status_code == 403  # not from a page of ours
    assert (await (await web.reader(uuid4())).post("/admin/cleanup", headers=ours)).status_code == 403
    answer = await staff.post("/admin/cleanup", headers=ours)
    assert (answer.status_code, answer.headers["location"]) == (303, "/admin?completed=1")
    assert "1 session completed whose room was gone." in (await staff.get("/admin?completed=1")).text
    assert await pool.fetchval("select array_agg(session_id) from sessions where status = 'completed'") == [
        TOLD
    ]


async def test_a_session_that_is_over_is_not_under_way(web: Web) -> None:
    assert (await web.user().post("/api/sessions/save", json=finished())).status_code == 201
    assert (await web.admin().get("/api/admin/overview")).json()["sessions"] == []


async def test_a_worker_whose_disk_cannot_be_measured_says_that_it_lives(
    pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    released = threading.Event()
    monkeypatch.setattr("agent.watch.on_disk", lambda _folder: released.wait())  # it hangs
    monkeypatch.setattr(AgentServer, "active_jobs", [])  # it need not run
    settings, server, duty, capacity = Settings(_env_file=None), AgentServer(), Duty(), Capacity(3, 2.0)
    launcher, tasks = Launcher(server, settings, {}, duty, capacity, Metrics()), Supervision()
    reconciler = Reconciler(launcher, pool, settings, "worker-a", duty, Metrics())
    Watch(server, pool, "worker-a", reconciler, launcher, duty, capacity, settings).keep(tasks)
    try:
        seen = "select seen_at from workers where worker = 'worker-a'"
        first = await until(lambda: pool.fetchval(seen))
        await until(lambda: pool.fetchval(f"select ({seen}) > $1", first))
    finally:
        released.set()
        await tasks.close()


async def test_a_real_recorder_is_seen(stack: Stack) -> None:
    async with serving(stack.dsn, stack.sfu) as web:
        staff, room = web.admin(), new_room()

        async def told() -> dict[str, Any] | None:
            found = (await staff.get("/api/admin/overview")).json()
            here = [s for s in found["sessions"] if s["room_name"] == room and s["present"]]
            alive = [w for w in found["workers"] if w["alive"]]
            all_told = here and alive and found["reconciled_at"]  # with the next sign of life, a second later
            return {"session": here[0], "workers": alive, **found} if all_told else None

        async with stack.joining(room, "student-1"):
            found = await until(told)
            session = found["session"]
            assert session["recorded"]
            assert session["worker"] in {worker["worker"] for worker in found["workers"]}
            assert (session["epoch"], session["present"]) == (1, 1)
            now = datetime.now(UTC)
            assert abs((datetime.fromisoformat(found["reconciled_at"]) - now).total_seconds()) < 60
