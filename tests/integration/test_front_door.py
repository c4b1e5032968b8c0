"""Who reads what of a session, from before its room to after it, in a real room with a real recorder."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID, uuid4

import httpx2
from livekit import api

from bench.stack import Stack, connected, new_room, until
from tests.integration.web_client import Web, finished, serving

EVERY = 1.0  # seconds between looks


@dataclass
class Watch:
    """What each of several people is answered about one session, again and again."""

    session_id: UUID
    people: dict[str, httpx2.AsyncClient]
    seen: list[dict[str, int]] = field(default_factory=list)
    words: dict[str, set[str]] = field(default_factory=dict)
    one_at_a_time: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def look(self) -> dict[str, int]:
        """What each is answered now; the list says the same, where nothing changed as it was asked for."""
        async with self.one_at_a_time:
            answers: dict[str, int] = {}
            for name, client in self.people.items():
                before = await self._asked(name)
                listed = await client.get("/api/sessions", params={"limit": 100})
                answers[name] = await self._asked(name)
                if before == answers[name]:
                    assert (str(self.session_id) in listed.text) == (before == 200)
            self.seen.append(answers)
            return answers

    async def _asked(self, name: str) -> int:
        got = await self.people[name].get(f"/api/sessions/{self.session_id}")
        if got.status_code == 200:
            self.words.setdefault(name, set()).update(e["text"] for e in got.json()["transcript"])
        return got.status_code

    @asynccontextmanager
    async def going_on(self) -> AsyncIterator[None]:
        over = asyncio.Event()

        async def looking() -> None:
            while not over.is_set():
                await self.look()
                with suppress(TimeoutError):
                    await asyncio.wait_for(over.wait(), EVERY)

        async with asyncio.TaskGroup() as tasks:  # a look that fails ends the test
            tasks.create_task(looking())
            try:
                yield
            finally:
                over.set()

    def changes(self, name: str) -> list[int]:
        """The answers to one of them, each as often as it changed."""
        answers = [moment[name] for moment in self.seen]
        return [a for n, a in enumerate(answers) if n == 0 or answers[n - 1] != a]


@asynccontextmanager
async def people_of(stack: Stack, *names: str) -> AsyncIterator[tuple[Web, dict[str, UUID], Watch, str]]:
    room = new_room()
    async with serving(stack.dsn, stack.sfu) as web:
        ids = {name: uuid4() for name in names}
        claims: dict[str, dict[str, Any]] = {"counselor": {"role": "counselor"}}
        clients = {name: web.user(ids[name], **claims.get(name, {})) for name in names}
        yield web, ids, Watch(UUID(room.removeprefix("coaching-")), clients), room


async def open_room(stack: Stack, room: str, **metadata: object) -> None:
    async with api.LiveKitAPI(stack.sfu.url, stack.sfu.api_key, stack.sfu.api_secret) as livekit:
        await livekit.room.create_room(api.CreateRoomRequest(name=room, metadata=json.dumps(metadata)))


async def test_who_saved_its_id_first_loses_it_to_whom_the_rooms_metadata_name(stack: Stack) -> None:
    names = ("student", "counselor", "stranger", "saver")  # asked last, whom another replaces
    async with people_of(stack, *names) as (_, ids, watch, room), watch.going_on():
        await watch.look()
        saver, student = watch.people["saver"], watch.people["student"]
        tale = finished(watch.session_id, mode="voice", counselor_category="tales")
        assert (await saver.post("/api/sessions/save", json=tale)).status_code == 201
        going_on = await saver.patch(f"/api/sessions/{watch.session_id}", json={"status": "in_progress"})
        assert going_on.status_code == 200
        assert (await saver.post("/api/sessions", json={"room_name": room})).status_code == 403
        await until(lambda: watch.seen and watch.seen[-1]["saver"] == 200)
        await open_room(stack, room, user_id=str(ids["student"]), counselor_category="college")
        counselor = {"role": "counselor", "user_id": str(ids["counselor"])}
        async with (
            stack.joining(room, "student-1") as caller,
            stack.joining(room, "carol", attributes=counselor),
        ):
            await until(lambda: stack.log("session_claimed", room=room))
            await stack.tell(caller, "my own words")
            await until(lambda: watch.seen[-1]["counselor"] == 200)
            assert (await watch.look()) == {"saver": 404, "student": 200, "counselor": 200, "stranger": 404}
            assert (await saver.post("/api/sessions", json={"room_name": room})).status_code == 404
            assert (await student.post("/api/sessions", json={"room_name": room})).status_code == 201
            assert (await saver.post("/api/sessions/save", json=tale)).status_code == 404
            live = (await student.get(f"/api/sessions/{watch.session_id}")).json()
            assert (live["status"], live["mode"], live["counselor_category"]) == (
                "in_progress", "video", "college",
            )  # fmt: skip
        await stack.completed(room)
        await watch.look()
    for name, answers in {
        "saver": [404, 200, 404],
        "student": [404, 200],
        "counselor": [404, 200],
        "stranger": [404],
    }.items():
        assert watch.changes(name)[-len(answers) :] == answers, name
        assert len(watch.changes(name)) <= len(answers)
    assert not any(moment["saver"] == moment["student"] == 200 for moment in watch.seen)
    assert watch.words["saver"] == {"I want to study biology.", "Tell me more."}  # their own tale
    assert watch.words["student"] == watch.words["counselor"] == {"my own words"}


async def test_a_student_known_by_an_attribute_alone_has_the_session_while_it_is_live(stack: Stack) -> None:
    """Also one whose token comes to say so only in the middle of the call."""
    async with people_of(stack, "student", "other") as (web, ids, watch, room):
        attributes = {"role": "student", "user_id": str(ids["student"])}
        async with stack.joining(room, "sam"):
            await until(lambda: stack.log("session_claimed", room=room))
            assert await watch.look() == {"student": 404, "other": 404}
            knows_its_id = await watch.people["other"].post(
                "/api/sessions/save", json=finished(watch.session_id)
            )
            assert knows_its_id.status_code == 404
            async with api.LiveKitAPI(stack.sfu.url, stack.sfu.api_key, stack.sfu.api_secret) as livekit:
                await livekit.room.update_participant(
                    api.UpdateParticipantRequest(room=room, identity="sam", attributes=attributes)
                )
            await until(lambda: _in_history(watch.people["student"], watch.session_id))
            assert await watch.look() == {"student": 200, "other": 404}
            page = await (await web.reader(ids["student"])).get("/session-history")
            assert "In Progress" in page.text
        record = await stack.completed(room)
    assert (record["user_id"], record["owner_proof"]) == (ids["student"], "attribute")


async def test_what_says_nothing_new_of_a_participant_is_not_journaled(stack: Stack) -> None:
    """LiveKit's agents tell their state by an attribute, at every turn."""
    async with people_of(stack, "student") as (_, ids, watch, room), stack.joining(room, "sam"):
        await until(lambda: stack.log("session_claimed", room=room))
        role = {"role": "student", "user_id": str(ids["student"])}
        async with api.LiveKitAPI(stack.sfu.url, stack.sfu.api_key, stack.sfu.api_secret) as livekit:
            for attributes in ({"lk.agent.state": "listening"}, {"lk.agent.state": "thinking"}, role):
                await livekit.room.update_participant(
                    api.UpdateParticipantRequest(room=room, identity="sam", attributes=attributes)
                )
        await until(lambda: _in_history(watch.people["student"], watch.session_id))
        async with connected(stack.dsn) as connection:
            told = await connection.fetchval(
                "select count(*) from session_events where session_id = $1 and kind = 'ParticipantJoined'",
                watch.session_id,
            )
        assert told == 2


async def test_metadata_that_come_in_the_middle_of_a_call_decide_whose_it_is(stack: Stack) -> None:
    async with people_of(stack, "student", "owner") as (_, ids, watch, room):
        attributes = {"role": "student", "user_id": str(ids["student"])}
        async with stack.joining(room, "sam", attributes=attributes):
            await until(lambda: _in_history(watch.people["student"], watch.session_id))
            assert await watch.look() == {"student": 200, "owner": 404}
            metadata = json.dumps({"user_id": str(ids["owner"]), "mode": "voice", "session_id": str(uuid4())})
            async with api.LiveKitAPI(stack.sfu.url, stack.sfu.api_key, stack.sfu.api_secret) as livekit:
                await livekit.room.update_room_metadata(
                    api.UpdateRoomMetadataRequest(room=room, metadata=metadata)
                )
            await until(lambda: _in_history(watch.people["owner"], watch.session_id))
            assert await watch.look() == {"student": 200, "owner": 200}  # who was in it still sees it
        record = await stack.completed(room)
    assert (record["user_id"], record["owner_proof"], record["mode"]) == (ids["owner"], "metadata", "voice")


async def test_an_identity_that_is_a_users_id_is_the_students_and_an_agent_is_the_counselor(
    stack: Stack,
) -> None:
    async with people_of(stack, "student") as (_, ids, watch, room):
        async with (
            stack.joining(room, str(ids["student"])) as student,
            stack.joining(room, "agent-AJ_1", kind="agent") as agent,
        ):
            await until(lambda: stack.log("session_claimed", room=room))
            await agent.send("transcript", {"speaker": "counselor", "text": "How are you?"})
            await until(lambda: stack.journaled("How are you?", room))
            await student.send("session.end", {})
            await student.wait_for_message("session.saved", 90)
            assert await watch.look() == {"student": 200}
        record = await stack.completed(room)
    assert record["owner_proof"] == "identity"
    assert [(e["speaker"], e["text"]) for e in record["transcript"]] == [("counselor", "How are you?")]
    assert sorted(p["role"] for p in record["participants"]) == ["counselor", "student"]


async def test_a_join_that_a_client_told_and_the_recorder_saw_is_one_stay_and_ends(stack: Stack) -> None:
    async with people_of(stack, "student") as (_, ids, watch, room):
        me = watch.people["student"]
        await open_room(stack, room, user_id=str(ids["student"]))
        join = {"sessionId": str(watch.session_id), "userId": str(ids["student"]), "name": "Sam"}
        opened = finished(watch.session_id)
        assert (await me.post("/api/sessions/save", json=opened)).status_code == 201
        told = await me.post("/api/coaching/participants", json=join)  # before the recorder sees them
        assert (told.status_code, told.json()["recorded"]) == (201, False)
        async with stack.joining(
            room, f"student-{ids['student']}", attributes={"user_id": str(ids["student"])}
        ):
            await until(lambda: stack.log("session_claimed", room=room))
            stays = (await me.get(f"/api/coaching/participants?sessionId={watch.session_id}")).json()
            assert [stay["recorded"] for stay in stays] == [True]
            again = await me.post("/api/coaching/participants", json=join)
            assert again.status_code == 200
        left = await me.patch(
            "/api/coaching/participants", json={"participantId": told.json()["participantId"]}
        )
        assert left.status_code == 200
        await stack.completed(room)
        stays = (await me.get(f"/api/coaching/participants?sessionId={watch.session_id}")).json()
        assert [(stay["recorded"], stay["leftAt"] is not None) for stay in stays] == [(True, True)]


async def _in_history(client: httpx2.AsyncClient, session_id: UUID) -> bool:
    return str(session_id) in (await client.get("/api/sessions")).text
