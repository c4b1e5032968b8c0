"""Whose session a row says it is, and who may see it: brought up to date by whoever records the session."""

from dataclasses import dataclass
from uuid import UUID

from agent.session.ownership import CLAIMED, Owner, settled
from agent.session.rooms import Mode, SessionInfo
from db.pool import Connection
from db.queries import queries


@dataclass(frozen=True, slots=True)
class Whose:
    """What a recorder knows: what the room's metadata say, the owner by proof, and the users it saw."""

    info: SessionInfo
    owner: Owner | None
    viewers: list[UUID]


async def settle(connection: Connection, whose: Whose) -> Mode:
    """Write it, in the caller's transaction; whoever is proven better than we know stays the owner.

    The mode that holds: a client's, where the room's metadata tell none.
    """
    info = whose.info
    row = await connection.fetchrow(queries["session_owner"], info.session_id)
    if row is None:
        return info.mode
    before = Owner(row["user_id"], row["proof"] or "saved") if row["user_id"] else None
    owner = settled(before, whose.owner, seen=whose.viewers)
    same_owner = before is None or (owner is not None and owner.user_id == before.user_id)
    # What the client of somebody overruled told of the session goes with their claim.
    told = same_owner or before is None or before.proof not in CLAIMED
    category = info.counselor_category or (row["counselor_category"] if told else None)
    mode: Mode = info.mode if info.mode_known else row["mode"] if told else "video"
    known = (before, row["viewers"], row["counselor_category"], row["mode"])
    if (owner, whose.viewers, category, mode) == known:
        return mode
    who = (owner.user_id, owner.proof) if owner else (None, None)
    await connection.execute(
        queries["settle_owner"], info.session_id, *who, whose.viewers, category, mode, info.mode_known
    )
    return mode
