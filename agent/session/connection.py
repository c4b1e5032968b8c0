"""LiveKit's score of a connection as a state: from one score to the next, or to the end of the stay."""

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import zip_longest

from agent.session.events import ConnectionQuality, ConnectionQualityChanged


@dataclass(frozen=True, slots=True)
class QualityState:
    """A connection quality and the time span in which it held."""

    quality: ConnectionQuality
    begin: datetime
    end: datetime


def states_of(
    scores: Iterable[ConnectionQualityChanged], stays: Sequence[tuple[datetime, datetime | None]]
) -> list[QualityState]:
    """One participant's states, from their scores and their stays (begin, end), which are in order."""
    changes = sorted(scores, key=lambda c: (c.at, c.quality))
    begins = [begin for begin, _ in stays]
    states = []
    for change, following in zip_longest(changes, changes[1:]):
        # Our clock may put a score before the join that LiveKit's clock timed.
        _, left = stays[max(bisect_right(begins, change.at) - 1, 0)]
        until = min(t for t in (following.at if following else None, left) if t is not None)
        if until > change.at:
            states.append(QualityState(change.quality, change.at, until))
    return states
