"""Whose session it is: of all who are said to own it, whoever is proven best.

The platform's word (room metadata) outranks what a participant's token says, and this what a client claims
over HTTP. A better proof replaces a worse one whenever it comes; a worse one never a better.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Literal, get_args
from uuid import UUID

# In falling order: the room's metadata; the student's attribute `user_id`; the student's identity; who opened
# the session here; who saved it first.
Proof = Literal["metadata", "attribute", "identity", "opened", "saved"]
_RANK: dict[Proof, int] = {proof: rank for rank, proof in enumerate(get_args(Proof))}
CLAIMED: tuple[Proof, ...] = ("opened", "saved")  # over HTTP; LiveKit did not tell


@dataclass(frozen=True, slots=True)
class Owner:
    """A user, and how it is known that the session is theirs."""

    user_id: UUID
    proof: Proof


def best(claims: Iterable[Owner]) -> Owner | None:
    """The first of those with the best proof; None without any."""
    return min(claims, key=lambda owner: _RANK[owner.proof], default=None)


def settled(
    holds: Owner | None, observed: Owner | None, *, seen: Collection[UUID] = (), recorded: bool = True
) -> Owner | None:
    """Who owns the session after `observed` is known too.

    Of equal proofs the observed one is the later truth, except among clients: the first who claims, holds.
    `seen`: the users whom LiveKit saw in the room. Of a `recorded` session nobody is the owner for having
    saved it whom LiveKit did not see in it: its id travels in links.
    """
    if recorded and holds is not None and holds.proof == "saved" and holds.user_id not in seen:
        holds = None
    claims = [owner for owner in (holds, observed) if owner is not None]
    if observed is not None and observed.proof not in CLAIMED:
        claims.reverse()
    return best(claims)
