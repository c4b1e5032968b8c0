"""Who lacks a recorder, and whose record lacks an end: LiveKit's rooms beside the database's leases.

Pure: what LiveKit and PostgreSQL said goes in, what is to be done comes out. All times are seconds that have
passed, each by one clock: those of a worker, of LiveKit and of the database need not agree.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from math import inf, log
from uuid import UUID

FRESH = 2.0  # whom LiveKit has just sent a recorder needs none yet
TAKES = 6.0  # a recorder that was started is given so long to claim its session
ATTEMPTS = 5  # recorders started for a room in vain before that is an error, and only tried now and then
NOW_AND_THEN = 60.0


@dataclass(frozen=True, slots=True)
class LiveRoom:
    """A coaching room that LiveKit has. `waiting`: since the first who is there joined; None when empty.

    `witnessed`: a hidden agent is listed, which may be the ghost of one that was killed up to 20 s ago.
    """

    session_id: UUID
    room_name: str
    room_sid: str
    waiting: float | None
    witnessed: bool


@dataclass(frozen=True, slots=True)
class Held:
    """An unfinished session in the database. `alive`: its lease runs, and the worker that holds it lives."""

    session_id: UUID
    room_sid: str
    alive: bool
    unseen: float  # since its recorder last renewed the lease


@dataclass(frozen=True, slots=True)
class Started:
    """How often a recorder was started for a room without one, and how long ago the last time."""

    attempts: int
    ago: float


def needs_a_look(room_sid: str, session_id: UUID, held: Mapping[UUID, Held]) -> bool:
    """Whether no living recorder holds this room's session: only then it matters who is there."""
    holder = held.get(session_id)
    return holder is None or not holder.alive or holder.room_sid != room_sid


def without_recorder(
    rooms: Iterable[LiveRoom], held: Mapping[UUID, Held], started: Mapping[str, Started]
) -> list[LiveRoom]:
    """Rooms with someone in them that need a recorder, longest waiting first."""
    lacking = [
        (-room.waiting, room.room_sid, room)
        for room in rooms
        if room.waiting is not None and _wait(room, held, started) <= 0
    ]
    return [room for _, _, room in sorted(lacking, key=lambda entry: entry[:2])]


def next_look(rooms: Iterable[LiveRoom], held: Mapping[UUID, Held], started: Mapping[str, Started]) -> float:
    """How long until the first of these rooms will lack a recorder that does not yet; infinite: none will."""
    return min((wait for room in rooms if (wait := _wait(room, held, started)) > 0), default=inf)


def abandoned(room_sids: Iterable[str], held: Iterable[Held], *, after: float) -> list[Held]:
    """Sessions that nobody records any more and whose room is gone: they will not be completed otherwise."""
    there = set(room_sids)
    return [
        session
        for session in held
        if not session.alive and session.room_sid not in there and session.unseen >= after
    ]


def turn_of(room_sid: str, free: Mapping[str, float]) -> str | None:
    """Which worker a new room is for, by how many rooms each has `free`; None where there is no worker.

    Weighted rendezvous hashing: all who know the same come to the same worker without asking each other, each
    has its share of the rooms, and one that comes or goes changes only what is its own.
    """

    def score(worker: str) -> float:
        digest = blake2b(f"{room_sid} {worker}".encode(), digest_size=7).digest()
        chance = (int.from_bytes(digest) + 1) / (1 << 56)  # never 0
        return -max(free[worker], 0.5) / log(chance) if chance < 1 else inf

    return max(free, key=lambda worker: (score(worker), worker), default=None)


def given_up(rooms: Sequence[LiveRoom], started: Mapping[str, Started]) -> list[LiveRoom]:
    """Of these, the rooms for which it has been tried too often."""
    return [room for room in rooms if (s := started.get(room.room_sid)) and s.attempts >= ATTEMPTS]


def _held_elsewhere(room: LiveRoom, held: Mapping[UUID, Held]) -> bool:
    """The session's recorder is in an earlier room of it; the witness here waits for its turn."""
    holder = held.get(room.session_id)
    return holder is not None and holder.alive and holder.room_sid != room.room_sid


def _wait(room: LiveRoom, held: Mapping[UUID, Held], started: Mapping[str, Started]) -> float:
    """How long until a room may be given a recorder, if all stays as it is; infinite when it needs none."""
    if room.waiting is None or not needs_a_look(room.room_sid, room.session_id, held):
        return inf
    if room.witnessed and _held_elsewhere(room, held):
        return inf
    fresh = FRESH - room.waiting
    before = started.get(room.room_sid)
    if before is None:
        return fresh
    return max(fresh, (TAKES if before.attempts < ATTEMPTS else NOW_AND_THEN) - before.ago)
