"""How many rooms a worker takes."""

import pytest

from agent.capacity import ROOM, Capacity


def after(capacity: Capacity, rooms: int, own: float, machine: float, times: int = 30) -> Capacity:
    for _ in range(times):
        capacity.measured(rooms, own, machine)
    return capacity


def test_before_anything_is_measured_a_core_bears_as_many_as_rooms_of_the_usual_cost() -> None:
    assert Capacity(0, cores=2).rooms == int(2 * 0.8 / ROOM)
    assert Capacity(0, cores=0.05).rooms == 1


def test_a_setting_stands_whatever_is_measured_and_whoever_else_is_there() -> None:
    capacity = after(Capacity(3, cores=2), 2, own=1.9, machine=2.0)
    assert capacity.rooms == 3
    assert capacity.takes(2, others_ready=True)
    assert not capacity.takes(3, others_ready=False)


def test_rooms_that_cost_more_than_usual_leave_space_for_fewer() -> None:
    assert after(Capacity(0, cores=4), 8, own=2.0, machine=2.2).rooms == 8 + int((3.2 - 2.2) / 0.25)
    assert after(Capacity(0, cores=4), 8, own=0.4, machine=0.6).rooms in (59, 60)


def test_what_others_do_on_the_machine_leaves_space_for_fewer() -> None:
    alone = after(Capacity(0, cores=4), 8, own=0.8, machine=0.8).rooms
    assert after(Capacity(0, cores=4), 8, own=0.8, machine=2.8).rooms == alone - 20


@pytest.mark.parametrize("machine", [2.0, 50.0])
def test_a_full_worker_takes_a_room_that_nobody_else_would(machine: float) -> None:
    capacity = after(Capacity(0, cores=2), 10, own=1.5, machine=machine)
    assert capacity.rooms <= 10
    assert not capacity.takes(10, others_ready=True)
    assert capacity.takes(10, others_ready=False)


def test_one_moment_alone_does_not_decide_what_a_room_costs() -> None:
    capacity = after(Capacity(0, cores=4), 8, own=0.8, machine=1.0)
    before = capacity.rooms
    capacity.measured(8, own=3.0, machine=1.0)
    assert before / 2 < capacity.rooms < before
    capacity.measured(8, own=0.0, machine=1.0)
    assert capacity.rooms > 8


def test_nor_what_others_do_on_the_machine() -> None:
    capacity = after(Capacity(0, cores=4), 8, own=0.8, machine=0.8)
    before = capacity.rooms
    capacity.measured(8, own=0.8, machine=4.0)
    assert before / 2 < capacity.rooms < before
    assert after(capacity, 8, own=0.8, machine=4.0).rooms < 8
