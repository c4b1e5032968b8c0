"""What LiveKit tells of its rooms brings a recorder at once; what somebody else tells brings nothing."""

import base64
import hashlib
import os
import signal
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx2 as httpx
import pytest
from livekit import api
from pydantic import SecretStr
from structlog.testing import capture_logs

from agent.http_server import MOST_BYTES, served
from agent.local.postgres import EmbeddedPostgres
from agent.local.processes import free_port
from agent.local.sfu import KEY_FILE, Sfu, api_key, run_sfu
from agent.metrics import Metrics
from agent.session.errors import ServiceNotStarted
from agent.settings import Settings
from agent.webhooks import PATH, Webhook
from bench.stack import Stack, new_room, running_stack, until
from db.visits import Visit
from tests.conftest import QUICK_ROOMS

API_KEY, API_SECRET = "devkey", "a secret of LiveKit's and of nobody else"
RARELY = "60"  # seconds between looks: longer than anything here takes
TIMES = '"joinedAt": "1790000000", "joinedAtMs": "1790000000250"'
WHO = f'"participant": {{"sid": "PA_1", "identity": "student-1", {TIMES}}}'
JOINED = f'{{"event": "participant_joined", "room": {{"name": "coaching-1", "sid": "RM_1"}}, {WHO}}}'
LEFT = JOINED.replace("participant_joined", "participant_left").replace(
    "{", '{"createdAt": "1790000001", ', 1
)


# --- the endpoint


@dataclass
class Door:
    """Where a webhook is answered, how often it made somebody look, and which stays it told of."""

    url: str
    looks: list[None]
    visits: list[tuple[str, Visit]]
    failing: bool = False

    async def note_visit(self, room_sid: str, visit: Visit) -> None:
        if self.failing:
            raise OSError
        self.visits.append((room_sid, visit))

    async def post(self, body: str | bytes, authorization: str | None = None) -> int:
        headers = {} if authorization is None else {"Authorization": authorization}
        async with httpx.AsyncClient() as client:
            return (await client.post(self.url, content=body, headers=headers)).status_code


@pytest.fixture
async def door() -> AsyncIterator[Door]:
    port = free_port()
    door = Door(f"http://127.0.0.1:{port}{PATH}", [], [])
    settings = Settings(
        livekit_api_key=API_KEY, livekit_api_secret=SecretStr(API_SECRET), recorder_http_port=port
    )
    webhook = Webhook(settings, lambda: door.looks.append(None), Metrics(), door.note_visit)
    async with served(settings, [webhook.route]):
        yield door


def signature(body: str | bytes, *, secret: str = API_SECRET, hours: int = 1) -> str:
    """What LiveKit sends along with a body."""
    digest = hashlib.sha256(body if isinstance(body, bytes) else body.encode()).digest()
    token = api.AccessToken(API_KEY, secret).with_sha256(base64.b64encode(digest).decode())
    return token.with_ttl(timedelta(hours=hours)).to_jwt()


@pytest.mark.parametrize("event", ["room_started", "participant_joined", "participant_left", "room_finished"])
async def test_news_of_a_coaching_room_are_a_reason_to_look(door: Door, event: str) -> None:
    body = JOINED.replace("participant_joined", event)
    assert await door.post(body, signature(body)) == 200
    assert len(door.looks) == 1


@pytest.mark.parametrize(
    "body",
    [
        JOINED.replace("participant_joined", "track_published"),
        JOINED.replace("participant_joined", "of_a_later_version"),
        JOINED.replace("coaching-1", "party-1"),
        '{"event": "egress_started"}',
        "{}",
    ],
)
async def test_other_news_are_taken_and_change_nothing(door: Door, body: str) -> None:
    with capture_logs() as logged:
        assert await door.post(body, signature(body)) == 200
    assert (door.looks, logged) == ([], [])


@pytest.mark.parametrize(
    ("body", "authorization", "status"),
    [
        pytest.param(JOINED, None, 401, id="unsigned"),
        pytest.param(JOINED, "Bearer x", 401, id="not a token"),
        pytest.param(JOINED, signature(JOINED, secret="another-secret-of-32-characters-"), 401, id="forged"),
        pytest.param(JOINED, signature(JOINED, hours=-1), 401, id="expired"),
        pytest.param(JOINED, signature("another body"), 401, id="signed for another body"),
        pytest.param(JOINED, api.AccessToken(API_KEY, API_SECRET).to_jwt(), 401, id="signed for no body"),
        pytest.param(b"\xff", signature(b"\xff"), 401, id="not text"),
        pytest.param("event", signature("event"), 400, id="not an event"),
        pytest.param(JOINED.replace("PA_1", ""), signature(JOINED.replace("PA_1", "")), 400, id="nobody"),
        pytest.param(JOINED.replace("RM_1", ""), signature(JOINED.replace("RM_1", "")), 400, id="nowhere"),
        pytest.param(" " * MOST_BYTES + JOINED, signature(" " * MOST_BYTES + JOINED), 413, id="too large"),
    ],
)
async def test_what_livekit_did_not_send_is_refused_with_one_log_line(
    door: Door, body: str | bytes, authorization: str | None, status: int
) -> None:
    with capture_logs() as logged:
        assert await door.post(body, authorization) == status
    assert [(line["event"], line["status"]) for line in logged] == [("webhook_refused", status)]
    assert "coaching-1" not in str(logged)
    assert (door.looks, door.visits) == ([], [])


async def test_who_came_and_went_is_kept_for_the_rooms_recorder(door: Door) -> None:
    assert await door.post(JOINED, signature(JOINED)) == 200
    assert await door.post(LEFT, signature(LEFT)) == 200
    (in_room, came), (_, went) = door.visits
    assert (in_room, came.participant_sid, came.identity, came.role) == (
        "RM_1",
        "PA_1",
        "student-1",
        "student",
    )
    assert (came.joined_at, came.left_at) == (datetime.fromtimestamp(1_790_000_000.25, UTC), None)
    assert went.left_at is not None
    assert 1_790_000_001 <= went.left_at.timestamp() < 1_790_000_002


@pytest.mark.parametrize("who", ['"permission": {"hidden": true}', '"kind": "EGRESS"'])
async def test_who_is_hidden_or_an_egress_is_no_stay(door: Door, who: str) -> None:
    body = JOINED.replace('"sid": "PA_1"', f'"sid": "PA_1", {who}')
    assert await door.post(body, signature(body)) == 200
    assert (len(door.looks), door.visits) == (1, [])


async def test_a_stay_that_cannot_be_written_is_told_again_by_livekit(door: Door) -> None:
    door.failing = True
    with capture_logs() as logged:
        assert await door.post(JOINED, signature(JOINED)) == 503
    assert [line["event"] for line in logged] == ["visit_not_noted"]
    assert len(door.looks) == 1


async def test_a_body_without_end_is_refused(door: Door) -> None:
    async def endless() -> AsyncIterator[bytes]:
        while True:
            yield bytes(8192)

    async with httpx.AsyncClient() as client:
        try:
            answer = (await client.post(door.url, content=endless())).status_code
        except httpx.NetworkError:  # the server closed the connection without waiting for the end
            answer = 413
    assert answer == 413
    assert door.looks == []


async def test_without_a_port_nothing_is_served_and_a_taken_one_is_reported(door: Door) -> None:
    async with served(Settings(recorder_http_port=0), []):
        pass
    taken = int(door.url.split(":")[2].split("/")[0])
    with pytest.raises(ServiceNotStarted, match=f"cannot listen on 127.0.0.1, port {taken}"):
        async with served(Settings(recorder_http_port=taken), []):
            pass


# --- with a real LiveKit server


@dataclass
class Told:
    """A LiveKit server that tells a worker of its rooms, and what that worker is started with."""

    sfu: Sfu
    settings: dict[str, str]


@pytest.fixture
def told(tmp_path: Path) -> Iterator[Told]:
    port = free_port()
    key, _ = api_key(tmp_path / "sfu" / KEY_FILE)
    webhook = {"api_key": key, "urls": [f"http://127.0.0.1:{port}{PATH}"]}
    with run_sfu(tmp_path / "sfu", overrides={**QUICK_ROOMS, "webhook": webhook}) as sfu:
        rarely = {"RECORDER_HTTP_PORT": str(port), "RECORDER_RECONCILE_INTERVAL": RARELY}
        yield Told(sfu, {**rarely, "RECORDER_DISPATCH": "automatic"})


def seconds_between(earlier: dict[str, Any], later: dict[str, Any]) -> float:
    begin, end = (datetime.fromisoformat(line["timestamp"]) for line in (earlier, later))
    return (end - begin).total_seconds()


def recorder_started(stack: Stack, room: str) -> dict[str, Any] | None:
    return next(iter(stack.log("recorder_started_for_room", room=room)), None)


@pytest.mark.slow
async def test_who_joins_a_room_that_livekit_sent_nobody_to_is_recorded_at_once(
    told: Told, postgres_of_its_own: EmbeddedPostgres, whisper_url: str, tmp_path: Path
) -> None:
    room = new_room()
    async with api.LiveKitAPI(told.sfu.url, told.sfu.api_key, told.sfu.api_secret) as livekit:
        await livekit.room.create_room(api.CreateRoomRequest(name=room))  # before there is a worker
    with running_stack(
        told.sfu, postgres_of_its_own, whisper_url, tmp_path / "worker", **told.settings
    ) as stack:
        async with stack.joining(room, "student-1", microphone=False) as student:
            line = await until(lambda: recorder_started(stack, room))
            await until(lambda: stack.log("session_claimed", room=room))
            await stack.tell(student, "LiveKit told of me.")
            joined_at = student.joined_at
        record = await stack.completed(room)
        (ready,) = stack.log("worker_ready")
        assert seconds_between(ready, line) < float(RARELY)  # no look but the first was due by then
        assert (
            2 <= (datetime.fromisoformat(line["timestamp"]) - joined_at).total_seconds() < float(RARELY) / 2
        )
    assert [entry["text"] for entry in record["transcript"]] == ["LiveKit told of me."]


@pytest.mark.slow
async def test_a_killed_workers_room_gets_a_recorder_when_livekit_misses_the_first(
    told: Told, postgres_of_its_own: EmbeddedPostgres, whisper_url: str, tmp_path: Path
) -> None:
    postgres, room = postgres_of_its_own, new_room()
    with running_stack(told.sfu, postgres, whisper_url, tmp_path / "first") as first:
        async with first.joining(room, "student-1", microphone=False) as student:
            await until(lambda: first.log("session_claimed", room=room))
            with running_stack(
                told.sfu, postgres, whisper_url, tmp_path / "second", **told.settings
            ) as second:
                os.killpg(first.worker.pid, signal.SIGKILL)
                line = await until(lambda: recorder_started(second, room))
                await until(lambda: second.log("session_claimed", room=room))
                await second.tell(student, "To the second.")
                (ready,) = second.log("worker_ready")
                assert seconds_between(ready, line) < float(RARELY)


@pytest.mark.slow
async def test_who_came_and_went_unseen_has_a_stay_by_what_another_worker_was_told(
    told: Told, postgres_of_its_own: EmbeddedPostgres, whisper_url: str, tmp_path: Path
) -> None:
    postgres, room = postgres_of_its_own, new_room()
    with running_stack(told.sfu, postgres, whisper_url, tmp_path / "first") as stack:
        async with stack.joining(room, "student-1"):
            await until(lambda: stack.hears(room, 1))
            with running_stack(told.sfu, postgres, whisper_url, tmp_path / "second", **told.settings):
                quiet = {"microphone": False}
                async with (
                    stack.joining(room, "guest-1", **quiet) as one,
                    stack.joining(room, "guest-2", **quiet) as other,
                ):
                    guests = {one.sid: one, other.sid: other}
                await until(lambda: len(stack.log("participant_left", room=room)) == 2)
                async with stack.joining(room, "counselor-1", name="Carol") as counselor:
                    await until(lambda: stack.hears(room, 2))
        record = await stack.completed(room)
    stays = {stay["participant_sid"]: stay for stay in record["participants"]}
    assert len(stays) == 4
    for sid, guest in guests.items():
        assert guest.left_at is not None
        assert stays[sid]["joined_at"] == guest.joined_at
        assert abs(stays[sid]["left_at"] - guest.left_at) < timedelta(seconds=1.5)
    assert stays[counselor.sid]["name"] == "Carol"
    assert record["end_reason"] == "room_empty"
