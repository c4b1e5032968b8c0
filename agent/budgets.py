"""How much of what participants send a recorder takes: plenty for whoever talks, too little to flood it.

Each sender has buckets that fill again with time; a room has some too, and a total of words, so that a
session's row can be written whatever comes. What people send is counted apart from what agents send: no
guest can use up an agent's.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass

from agent.session.errors import MessageRefused

AN_ENTRY = 256  # bytes of a transcript's entry beside its text, roundly
_MOST_SENDERS = 1_000  # with buckets of their own


@dataclass(frozen=True, slots=True)
class Limit:
    """So much at once, and so much more each second."""

    at_once: float
    per_second: float = 0.0


@dataclass(slots=True)
class Bucket:
    """What is left of a limit."""

    limit: Limit
    left: float
    at: float

    def take(self, amount: float, at: float) -> bool:
        """Whether there was so much; then it is gone."""
        self.left = min(self.limit.at_once, self.left + (at - self.at) * self.limit.per_second)
        self.at = at
        if amount > self.left:
            return False
        self.left -= amount
        return True

    def put_back(self, amount: float) -> None:
        """It was not used after all."""
        self.left += amount


# What each sender may send, and all of a kind together; a fast talker sends 100 bytes a second.
DATA = Limit(1024 * 1024, 64 * 1024), Limit(64 * 1024 * 1024, 8 * 1024 * 1024)  # bytes as they come
WORDS = Limit(64 * 1024, 1024), Limit(4_000_000)  # bytes as they are stored
READINGS = Limit(120, 4), Limit(50_000)
ENDINGS = Limit(3, 0.1), Limit(100, 1)
REFUSALS = Limit(30, 1 / 60), Limit(500, 1)  # log lines


class Budgets:
    """What is left of one room's limits. Everything refused here raises `MessageRefused`."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._buckets: dict[tuple[Limit, str], Bucket] = {}

    def data(self, identity: str, size: int, *, agent: bool = False) -> None:
        """So many bytes came."""
        if not self._take(DATA, identity, size + AN_ENTRY, agent=agent):
            raise MessageRefused("more than a sender may send", words=True, once=True)

    def words(self, identity: str, size: int, *, agent: bool) -> None:
        """An utterance of so many bytes is to be recorded."""
        if not self._take(WORDS, identity, size + AN_ENTRY, agent=agent):
            raise MessageRefused("more words than a sender may send", words=True, once=True)

    def had_words(self, size: int, *, agent: bool) -> None:
        """A recorder before us has recorded so much."""
        of_all = self._bucket(WORDS[1], _everybody(agent=agent))
        of_all.left = max(0.0, of_all.left - size - AN_ENTRY)

    def reading(self, identity: str) -> None:
        """A reading is to be recorded."""
        if not self._take(READINGS, identity, 1):
            raise MessageRefused("more readings than a sender may send", once=True)

    def ending(self, identity: str) -> bool:
        """Whether a participant may end the session now."""
        return self._take(ENDINGS, identity, 1)

    def line(self, identity: str) -> bool:
        """Whether one more refusal is told."""
        return self._take(REFUSALS, identity, 1)

    def _take(
        self, limits: tuple[Limit, Limit], identity: str, amount: float, *, agent: bool = False
    ) -> bool:
        at = self._clock()
        own, of_all = self._bucket(limits[0], identity), self._bucket(limits[1], _everybody(agent=agent))
        if not own.take(amount, at):
            return False
        if of_all.take(amount, at):
            return True
        own.put_back(amount)
        return False

    def _bucket(self, limit: Limit, whose: str) -> Bucket:
        key = limit, whose
        if key not in self._buckets and len(self._buckets) >= 5 * _MOST_SENDERS:
            key = limit, " further senders"
        if key not in self._buckets:
            self._buckets[key] = Bucket(limit, limit.at_once, self._clock())
        return self._buckets[key]


def _everybody(*, agent: bool) -> str:
    """No identity begins with a space and ends with one: a key of its own."""
    return " all agents " if agent else " all people "
