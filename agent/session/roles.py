"""Who is the student where no role says so, and whom a student's stay proves to be the owner of a session."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from uuid import UUID

from agent.session.events import ParticipantJoined
from agent.session.ownership import Owner
from agent.session.user_ids import as_uuid


def with_the_student(joins: Sequence[ParticipantJoined], user_id: UUID | None) -> list[ParticipantJoined]:
    """The same joins, where who has no role of their own is the student by their identity.

    They are there under the session's `user_id` or, where nobody knows a student, their identity is the
    first that is a UUID.
    """
    if user_id is None and all(join.role != "student" for join in joins):
        without_role = (as_uuid(join.identity) for join in joins if join.role == "participant")
        user_id = next(filter(None, without_role), None)
    if user_id is None:
        return list(joins)
    return [
        replace(join, role="student")
        if join.role == "participant" and (as_uuid(join.identity) == user_id or join.user_id == str(user_id))
        else join
        for join in joins
    ]


def owners_among(joins: Iterable[ParticipantJoined]) -> Iterator[Owner]:
    """The students under a user's id, each with what proves it."""
    for join in joins:
        if join.role == "student" and join.user_id:
            user_id = UUID(join.user_id)
            yield Owner(user_id, "identity" if as_uuid(join.identity) == user_id else "attribute")
