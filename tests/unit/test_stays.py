"""When a room is empty: whoever is there, agents aside."""

from pathlib import Path
from typing import cast
from uuid import uuid4

import pytest

from agent.recorder import Recorder
from agent.session.events import ParticipantJoined
from agent.session.rooms import SessionInfo
from agent.stays import Stays
from db.pool import Pool
from tests.unit.builders import at, joined


class Room:
    """A recorder that writes nowhere, and how often its room was empty."""

    def __init__(self, folder: Path) -> None:
        info = SessionInfo(uuid4(), "coaching-x", "RM_x")
        self.recorder = Recorder(info, cast("Pool", None), folder)
        self.emptied = 0
        self.stays = Stays(self.recorder, self._empty)

    def _empty(self) -> None:
        self.emptied += 1

    @property
    def ended_at(self) -> object:
        ending = self.recorder.session.ending
        return ending and (ending.at, ending.reason)


@pytest.fixture
def room(tmp_path: Path) -> Room:
    return Room(tmp_path)


def agent(seconds: float, identity: str = "counselor-ai") -> ParticipantJoined:
    sid = f"PA_{identity}"
    return ParticipantJoined(
        at=at(seconds), identity=identity, participant_sid=sid, name="", role="counselor", kind="agent"
    )


async def test_the_last_person_empties_a_room_and_the_agent_that_stays_changes_nothing(room: Room) -> None:
    room.stays.tell(joined(0))
    room.stays.tell(agent(1))
    room.stays.left("PA_student", at(10))
    assert (room.emptied, room.ended_at) == (1, (at(10), "room_empty"))
    room.stays.left("PA_counselor-ai", at(30))
    assert (room.emptied, room.ended_at) == (1, (at(10), "room_empty"))


async def test_an_agent_that_goes_before_the_person_ends_nothing(room: Room) -> None:
    room.stays.tell(agent(0))
    room.stays.tell(joined(1))
    room.stays.left("PA_counselor-ai", at(5))
    assert (room.emptied, room.ended_at) == (0, None)


async def test_a_room_of_agents_ends_with_the_last(room: Room) -> None:
    room.stays.tell(agent(0))
    room.stays.tell(agent(1, "scribe"))
    room.stays.left("PA_counselor-ai", at(5))
    assert room.emptied == 0
    room.stays.left("PA_scribe", at(9))
    assert (room.emptied, room.ended_at) == (1, (at(9), "room_empty"))


async def test_a_room_that_is_closed_over_an_agent_ended_when_the_last_person_left(room: Room) -> None:
    room.stays.tell(joined(0))
    room.stays.tell(agent(1))
    room.stays.left("PA_student", at(10))
    room.stays.closed(at(30))
    assert room.ended_at == (at(10), "room_empty")
    assert room.recorder.session.present == []


async def test_a_room_that_is_closed_over_somebody_ends_then(room: Room) -> None:
    room.stays.tell(joined(0))
    room.stays.tell(agent(1))
    room.stays.closed(at(30))
    assert room.ended_at == (at(30), "room_closed")


async def test_who_was_gone_before_we_came_left_then(room: Room) -> None:
    room.recorder.record(joined(0))
    room.recorder.record(agent(1))
    room.stays.tell(agent(1))
    room.stays.left_meanwhile(at(60))
    assert room.ended_at == (at(60), "room_empty")
    assert [stay.joined.identity for stay in room.recorder.session.present] == ["counselor-ai"]


async def test_a_visitor_that_nobody_saw_comes_and_goes_and_the_room_is_as_empty_as_before(
    room: Room,
) -> None:
    room.stays.tell(joined(0))
    room.stays.left("PA_student", at(10))
    room.stays.tell(joined(20, "guest"), unseen=True)
    assert [stay.joined.identity for stay in room.recorder.session.present] == ["guest"]
    room.stays.left("PA_guest", at(20.3))
    assert room.ended_at == (at(20.3), "room_empty")
    assert (room.stays.unseen, len(room.stays)) == (set(), 0)
    assert room.stays.known == {"PA_student", "PA_guest"}
