"""Whether words that two sources tell of one voice are the same words, told twice.

They read alike where most of them are found, in their order and close together, among what the other source
tells about the same time. Each word stands for one word of the other source, once.
"""

from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import timedelta
from itertools import accumulate

from agent.session.events import UtteranceHeard
from agent.session.own_words import WAIT
from agent.session.words import words_of

ENOUGH = 0.6  # more of the words than this
RUN = 3  # so many words in a row at most have no like: more would be a statement of their own
_SKIPPED = 6  # words of the other source in a row at most that lie between
_LONGEST = timedelta(minutes=10)  # whatever times are claimed, nobody says one message for longer
_MOST = 2000  # words, the nearest first, in which a like is sought
_WORK = 2_000_000  # comparisons of all that a voice said; a talk of three hours takes a tenth of it

Found = tuple[int, int, tuple[int, int] | None]  # words matched, minus those skipped, the match before


class Source:
    """What one source tells of one voice, by the time it began."""

    def __init__(self, told: Sequence[UtteranceHeard]) -> None:
        self._told = told
        self._begins = [utterance.at for utterance in told]
        self._ends = [min(max(utterance.end, utterance.at), utterance.at + _LONGEST) for utterance in told]
        self._latest = list(accumulate(self._ends, max))
        said = [words_of(utterance.text) for utterance in told]
        self._first = list(accumulate(map(len, said), initial=0))
        self._words = [word for words in said for word in words]
        self._taken = bytearray(len(self._words))
        self._work = _WORK  # what is left of it: of whom it is used up only the very same words are alike
        self._places: dict[str, list[int]] = {}
        for place, word in enumerate(self._words):
            self._places.setdefault(word, []).append(place)

    def takes(self, other: UtteranceHeard) -> bool:
        """Whether the other source's words are among these; if so, these stand for no others any more."""
        words = words_of(other.text)
        near = self._near(other) if words else []
        if not near:
            return False
        counts = Counter(words)
        free = {word: self._free(word, near) for word in counts}
        if sum(min(count, len(free[word])) for word, count in counts.items()) <= ENOUGH * len(words):
            return False
        places = [free[word] for word in words]
        for place in (chain := self._in_one_run(words, places) or self._in_order(places)):
            self._taken[place] = 1
        return bool(chain)

    def _in_order(self, places: Sequence[Sequence[int]]) -> list[int]:
        """Most of the words, with few between, as far as there is time to look."""
        work = sum(map(len, places))
        if work > self._work:
            return []
        self._work -= work
        return _chain(_dense(places))

    def _near(self, other: UtteranceHeard) -> list[tuple[int, int]]:
        """Where the words of about that time are: from place to place."""
        first = bisect_left(self._latest, other.at - WAIT)
        last = bisect_right(self._begins, other.end + WAIT)
        near = [n for n in range(first, last) if self._ends[n] >= other.at - WAIT]
        if near and self._first[near[-1] + 1] - self._first[near[0]] > _MOST:
            near = self._nearest(near, other)
        return list(_joined((self._first[n], self._first[n + 1]) for n in near))

    def _nearest(self, near: Sequence[int], other: UtteranceHeard) -> list[int]:
        def apart(n: int) -> timedelta:
            return max(self._begins[n] - other.end, other.at - self._ends[n], timedelta(0))

        kept: list[int] = []
        words = 0
        for n in sorted(near, key=lambda n: (apart(n), n)):
            words += self._first[n + 1] - self._first[n]
            if words > _MOST and kept:
                break
            kept.append(n)
        return sorted(kept)

    def _free(self, word: str, near: Sequence[tuple[int, int]]) -> list[int]:
        places = self._places.get(word)
        if places is None:
            return []
        return [
            place
            for begin, end in near
            for place in places[bisect_left(places, begin) : bisect_left(places, end)]
            if not self._taken[place]
        ]

    def _in_one_run(self, words: Sequence[str], places: Sequence[Sequence[int]]) -> list[int]:
        """The same words without any between: as it nearly always is, and soon found."""
        rarest = min(range(len(words)), key=lambda n: len(places[n]))
        for place in places[rarest]:
            begin, end = place - rarest, place - rarest + len(words)
            if begin >= 0 and self._words[begin:end] == words and not any(self._taken[begin:end]):
                return list(range(begin, end))
        return []


def _joined(stretches: Iterator[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    begin = end = -1
    for first, after in stretches:
        if first != end:
            if end > begin:
                yield begin, end
            begin = first
        end = after
    if end > begin:
        yield begin, end


def _dense(places: Sequence[Sequence[int]]) -> list[list[int]]:
    """Only those places about which there are enough others: without these there is no chain."""
    spots = sorted(place for found_at in places for place in found_at)
    enough, reach = int(ENOUGH * len(places)) + 1, 2 * len(places)
    kept: set[int] = set()
    until = 0
    for first, last in zip(spots, spots[enough - 1 :], strict=False):
        if last - first < reach:
            kept.update(range(max(first, until), first + reach))
            until = first + reach
    return [[place for place in found_at if place in kept] for found_at in places]


def _chain(places: Sequence[Sequence[int]]) -> list[int]:
    """The most words matched in order, of several such with the fewest between; none where not alike."""
    rows: list[dict[int, Found]] = []
    ends: list[tuple[int, int, int, int]] = []
    for n, found_at in enumerate(places):
        row = {place: _best(rows, n, place) for place in found_at}
        rows.append({place: found for place, found in row.items() if found is not None})
        if n >= len(places) - 1 - RUN:
            ends += [(found[0], found[1], -place, n) for place, found in rows[-1].items()]
    if not ends:
        return []
    matched, skipped, minus_place, n = max(ends)
    if matched <= ENOUGH * len(places) or -skipped > matched:
        return []
    chain, step = [], (n, -minus_place)
    while True:
        chain.append(step[1])
        before = rows[step[0]][step[1]][2]
        if before is None:
            return chain
        step = before


def _best(rows: Sequence[dict[int, Found]], n: int, place: int) -> Found | None:
    """The longest chain that ends with the n-th word here; None where too many words are before it."""
    if n and (before := rows[n - 1].get(place - 1)) is not None:
        return before[0] + 1, before[1], (n - 1, place - 1)  # hardly any other is longer
    best: Found | None = (1, 0, None) if n <= RUN else None
    for back in range(1, min(RUN + 1, n) + 1):
        row = rows[n - back]
        for skipped in range(_SKIPPED + 1) if row else ():
            before = row.get(place - 1 - skipped)
            if before is not None:
                longer = (before[0] + 1, before[1] - skipped, (n - back, place - 1 - skipped))
                if best is None or longer[:2] > best[:2]:
                    best = longer
    return best
