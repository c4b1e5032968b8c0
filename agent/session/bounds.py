"""How much of the words that participants send a record holds: so much that it can always be written.

PostgreSQL takes 255 MB of one value, and this much in a few seconds. What was heard is always in the record:
nobody says more than there is time for.
"""

from collections.abc import Iterable, Sequence

from agent.session.events import UtteranceHeard

MOST = 48_000_000  # bytes of all own words at most, as JSON: the row stays below 64 MB
_ENTRY = 400  # bytes of an entry besides what its sender chose
_CHARACTER = 6  # bytes at most, as JSON


def size_of(said: UtteranceHeard) -> int:
    """Bytes of own words in the record, at most."""
    if said.source != "data" or not said.text:
        return 0
    return _ENTRY + _CHARACTER * (len(said.text) + len(said.identity) + len(said.sent_by or ""))


def beyond(own: Iterable[UtteranceHeard], most: int = MOST) -> set[int]:
    """Which own words (by `id`) are too much: the last of those who sent the most, and of nobody else."""
    senders: dict[str, list[UtteranceHeard]] = {}
    for said in own:
        senders.setdefault(said.sent_by or said.identity, []).append(said)
    each = _fair_share([sum(map(size_of, theirs)) for theirs in senders.values()], most)
    return {id(said) for theirs in senders.values() for said in _last(theirs, each)}


def _fair_share(sizes: Sequence[int], most: int) -> int:
    """What each may have so that all have no more than `most`; who has less leaves it to the others."""
    rest = most
    for done, size in enumerate(sorted(sizes)):
        share = rest // (len(sizes) - done)
        if size > share:
            return share
        rest -= size
    return most


def _last(theirs: Sequence[UtteranceHeard], most: int) -> Iterable[UtteranceHeard]:
    total = 0
    for said in sorted(theirs, key=lambda u: (u.at, u.end, u.identity, u.text)):
        total += size_of(said)
        if total > most:
            yield said
