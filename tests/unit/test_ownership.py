"""Whose session it is, by proof: in whatever order the proofs come."""

from dataclasses import replace
from itertools import permutations
from typing import get_args
from uuid import UUID

import pytest

from agent.session.events import Event, Role
from agent.session.fold import fold
from agent.session.ownership import Owner, Proof, best, settled
from tests.unit.builders import STUDENT_ID, info, joined

PROOFS: tuple[Proof, ...] = get_args(Proof)
USERS = {proof: UUID(int=n + 1) for n, proof in enumerate(PROOFS)}
OTHER = "7c0e7f0a-1b0f-4d0c-8a7e-3f2d1c0b9a88"


@pytest.mark.parametrize("size", range(1, len(PROOFS) + 1))
def test_the_best_proof_owns_whatever_comes_first(size: int) -> None:
    for order in permutations(PROOFS, size):
        holds: Owner | None = None
        for proof in order:
            holds = settled(holds, Owner(USERS[proof], proof), seen=[USERS["saved"]])
            assert holds is not None
        strongest = min(order, key=PROOFS.index)
        assert holds == Owner(USERS[strongest], strongest)
        assert best(Owner(USERS[proof], proof) for proof in order) == holds


@pytest.mark.parametrize("proof", ["metadata", "attribute", "identity"])
def test_of_what_was_observed_the_later_is_true(proof: Proof) -> None:
    first, later = Owner(UUID(int=1), proof), Owner(UUID(int=2), proof)
    assert settled(first, later) == later
    assert settled(first, None) == first


@pytest.mark.parametrize("proof", ["opened", "saved"])
def test_among_clients_the_first_who_claims_it_holds_it(proof: Proof) -> None:
    first, later = Owner(UUID(int=1), proof), Owner(UUID(int=2), proof)
    assert settled(first, later, recorded=False) == first


def test_who_only_saved_a_session_that_is_recorded_must_have_been_seen_in_it() -> None:
    saver = Owner(UUID(int=1), "saved")
    assert settled(saver, None) is None
    assert settled(saver, None, seen=[UUID(int=2)]) is None
    assert settled(saver, None, seen=[saver.user_id]) == saver
    assert settled(saver, None, recorded=False) == saver
    assert settled(saver, Owner(UUID(int=2), "identity"), seen=[saver.user_id]) == Owner(
        UUID(int=2), "identity"
    )


def test_who_opened_a_session_need_not_have_come_yet() -> None:
    opener = Owner(UUID(int=1), "opened")
    assert settled(opener, None) == opener


def test_nobody_owns_what_nobody_claims() -> None:
    assert settled(None, None) is None
    assert best([]) is None


@pytest.mark.parametrize(
    ("events", "owner"),
    [
        ([joined(0, "student-1", user_id=OTHER)], (OTHER, "attribute")),
        ([joined(0, OTHER, user_id=OTHER)], (OTHER, "identity")),
        ([joined(0, OTHER, role="participant", user_id=OTHER)], (OTHER, "identity")),
        ([joined(0, OTHER.replace("-", ""), user_id=OTHER)], (OTHER, "identity")),
        (
            [joined(0, OTHER, user_id=OTHER), joined(9, "student-2", user_id=STUDENT_ID)],
            (STUDENT_ID, "attribute"),
        ),
        ([joined(0, "carol", role="counselor", user_id=OTHER)], None),
        ([joined(0, "student-1")], None),
    ],
)
def test_a_students_attribute_outranks_an_identity(
    events: list[Event], owner: tuple[str, Proof] | None
) -> None:
    for order in permutations(events):
        session = fold(info(), order)
        assert session.owner == (Owner(UUID(owner[0]), owner[1]) if owner else None)


@pytest.mark.parametrize(
    ("user_id", "others", "role"),
    [
        (None, [], "student"),
        (None, [joined(5, "student-1")], "participant"),
        (None, [joined(-5, STUDENT_ID, role="participant")], "participant"),
        (None, [joined(5, STUDENT_ID, role="participant")], "student"),
        (None, [joined(-5, "guest", role="participant")], "student"),
        (UUID(OTHER), [joined(5, "student-1")], "student"),
        (UUID(STUDENT_ID), [], "participant"),
    ],
)
def test_who_has_no_role_is_the_student_by_the_rooms_user_or_where_nobody_else_is(
    user_id: UUID | None, others: list[Event], role: Role
) -> None:
    for order in permutations([joined(0, OTHER, role="participant", user_id=OTHER), *others]):
        session = fold(info(user_id=user_id), order)
        assert session.role(OTHER) == role
        assert next(s for s in session.stays if s.joined.identity == OTHER).joined.role == role


def test_who_is_there_under_the_rooms_user_id_is_the_student_whatever_their_identity() -> None:
    phone = joined(0, "sams-phone", role="participant", user_id=OTHER)
    assert fold(info(user_id=UUID(OTHER)), [phone]).role("sams-phone") == "student"
    # Who owns it for having saved it is no student for that.
    claimed = replace(info(user_id=UUID(OTHER)), proof="saved")
    assert fold(claimed, [phone]).role("sams-phone") == "participant"


def test_viewers_are_all_whom_livekit_saw_under_a_users_id() -> None:
    events = [
        joined(0, user_id=STUDENT_ID),
        joined(1, "carol", role="counselor", user_id=OTHER),
        joined(2, "x", role="participant"),
    ]
    assert set(fold(info(), events).viewers) == {UUID(STUDENT_ID), UUID(OTHER)}
