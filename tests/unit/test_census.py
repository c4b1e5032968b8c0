"""Which rooms need a recorder, and which sessions an end."""

from collections import Counter
from math import inf
from uuid import UUID, uuid4

import pytest

from agent.session.census import (
    ATTEMPTS,
    Held,
    LiveRoom,
    Started,
    abandoned,
    given_up,
    needs_a_look,
    next_look,
    turn_of,
    without_recorder,
)
from tests.unit.builders import SESSION_ID


def room(
    waiting: float | None = 100, sid: str = "RM_1", session: UUID = SESSION_ID, *, witnessed: bool = False
) -> LiveRoom:
    return LiveRoom(session, f"coaching-{session}", sid, waiting, witnessed)


def held(
    *, alive: bool, sid: str = "RM_1", unseen: float = 10, session: UUID = SESSION_ID
) -> dict[UUID, Held]:
    return {session: Held(session, sid, alive, unseen)}


def test_a_room_that_nobody_ever_recorded_needs_a_recorder() -> None:
    assert without_recorder([room()], {}, {}) == [room()]


def test_a_room_whose_recorder_is_dead_needs_another() -> None:
    assert without_recorder([room()], held(alive=False), {}) == [room()]


def test_a_room_with_a_living_recorder_needs_none() -> None:
    assert without_recorder([room()], held(alive=True), {}) == []


def test_an_empty_room_needs_none() -> None:
    assert without_recorder([room(None)], {}, {}) == []


def test_a_room_that_livekit_has_just_sent_a_recorder_to_needs_none_yet() -> None:
    assert without_recorder([room(1)], {}, {}) == []
    assert without_recorder([room(2)], {}, {}) == [room(2)]


def test_the_ghost_of_a_killed_recorder_does_not_count() -> None:
    haunted = room(witnessed=True)
    assert without_recorder([haunted], held(alive=False), {}) == [haunted]


def test_a_second_room_of_a_session_waits_while_the_recorder_of_the_first_finishes() -> None:
    waits, unseen = room(sid="RM_2", witnessed=True), room(sid="RM_2")
    assert without_recorder([waits], held(alive=True), {}) == []
    assert without_recorder([unseen], held(alive=True), {}) == [unseen]


def test_a_recorder_that_was_just_started_is_given_time() -> None:
    assert without_recorder([room()], {}, {"RM_1": Started(1, 4)}) == []
    assert without_recorder([room()], {}, {"RM_1": Started(1, 6)}) == [room()]


def test_what_was_tried_too_often_is_said_aloud_and_tried_now_and_then() -> None:
    in_vain, again = {"RM_1": Started(ATTEMPTS, 10)}, {"RM_1": Started(ATTEMPTS, 60)}
    assert without_recorder([room()], {}, in_vain) == []
    assert given_up(without_recorder([room()], {}, again), again) == [room()]
    assert given_up([room()], {"RM_1": Started(ATTEMPTS - 1, 10)}) == []


def test_the_next_look_is_when_somebody_is_new_no_more_or_a_recorder_has_had_its_time() -> None:
    new, tried = room(0.5), room(sid="RM_2", session=uuid4())
    just_started = {"RM_2": Started(1, 1)}
    assert next_look([new, tried], {}, just_started) == 1.5
    assert next_look([tried], {}, just_started) == 5
    assert next_look([tried], {}, {"RM_2": Started(ATTEMPTS, 1)}) == 59


def test_what_lacks_a_recorder_now_or_needs_none_is_no_reason_to_look_again_soon() -> None:
    assert next_look([room(), room(None, "RM_2", uuid4())], {}, {}) == inf
    assert next_look([room(1)], held(alive=True), {}) == inf


def test_the_longest_waiting_is_first() -> None:
    rooms = [room(80, "RM_2", uuid4()), room(90, "RM_1", uuid4()), room(90, "RM_0", uuid4())]
    assert [r.room_sid for r in without_recorder(rooms, {}, {})] == ["RM_0", "RM_1", "RM_2"]


def test_only_rooms_without_a_living_recorder_are_looked_into() -> None:
    assert not needs_a_look("RM_1", SESSION_ID, held(alive=True))
    assert needs_a_look("RM_2", SESSION_ID, held(alive=True))
    assert needs_a_look("RM_1", SESSION_ID, held(alive=False))
    assert needs_a_look("RM_1", SESSION_ID, {})


def test_a_session_without_room_and_recorder_is_abandoned() -> None:
    after = 4
    (lost,) = held(alive=False).values()
    (alive,) = held(alive=True).values()
    (fresh,) = held(alive=False, unseen=2).values()
    assert abandoned([], [lost, alive, fresh], after=after) == [lost]
    assert abandoned(["RM_1"], [lost], after=after) == []


def test_of_new_rooms_each_worker_has_its_share_by_how_many_it_has_free() -> None:
    rooms = [f"RM_{number}" for number in range(2000)]
    shares = Counter(turn_of(sid, {"a": 10, "b": 10, "c": 20}) for sid in rooms)
    assert shares["a"] == pytest.approx(500, abs=80)
    assert shares["b"] == pytest.approx(500, abs=80)
    assert shares["c"] == pytest.approx(1000, abs=100)


def test_a_worker_that_comes_or_goes_changes_only_whose_rooms_are_its_own() -> None:
    rooms = [f"RM_{number}" for number in range(200)]
    before = {sid: turn_of(sid, {"a": 10, "b": 10, "c": 10}) for sid in rooms}
    after = {sid: turn_of(sid, {"b": 10, "a": 10}) for sid in rooms}
    assert {sid for sid in rooms if before[sid] != after[sid]} == {s for s in rooms if before[s] == "c"}


def test_a_room_is_for_the_only_worker_even_a_full_one_and_for_nobody_where_there_is_none() -> None:
    assert turn_of("RM_1", {"a": 0}) == "a"
    assert turn_of("RM_1", {}) is None
