"""Who is the student where no role says so, and whom a student's stay proves to be the owner of a session."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from uuid import UUID

from agent.session.events import ParticipantJoined
from agent.session.ownership import Owner
from agent.session.rooms import is_uuid


def with_the_student(joins: Sequence[ParticipantJoined], user_id: UUID | None) -> list[ParticipantJoined]:
    """The same joins, where who has no role of their own is the student by their identity.

    Their identity is the session's `user_id` or, where nobody knows a student, the first that is a UUID.
    """
    student = str(user_id) if user_id else None
    if student is None and all(join.role != "student" for join in joins):
        without_role = (join.identity for join in joins if join.role == "participant")
        student = next(filter(is_uuid, without_role), None)
    if student is None:
        return list(joins)
    return [
        replace(join, role="student")
        if join.role == "participant" and join.identity.lower() == student.lower()
        else join
        for join in joins
    ]


def owners_among(joins: Iterable[ParticipantJoined]) -> Iterator[Owner]:
    """The students under a user's id, each with what proves it."""
    for join in joins:
        if join.role == "student" and join.user_id:
            identified = join.user_id == join.identity.lower()
            yield Owner(UUID(join.user_id), "identity" if identified else "attribute")
