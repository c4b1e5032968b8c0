"""Which of an agent's speech the words that it sends of itself account for.

Nobody compares sound with text: a message stands for about as much speech as its words take to say, near
it in time; one that came while its words were said stands for what was said meanwhile. What is left over was
said without words: a program's recogniser has died, or was never there.
"""

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from datetime import timedelta

from agent.session.events import UtteranceHeard
from agent.session.spans import Span, mostly_the_same
from agent.session.words import words_of

WAIT = timedelta(seconds=30)  # words and the speech that they are of are no further apart
_A_WORD = timedelta(seconds=0.5)  # 120 words a minute: slowly said
_QUICKLY = timedelta(seconds=0.3)  # 200: of whom speaks so, all is paid for; there is none left for another
_AT_ONCE = timedelta(seconds=0.2)  # 300: words that come faster are not sent as they are said
_A_MESSAGE = timedelta(seconds=0.5)  # breath, and what voice activity adds on both sides


def accounted_for(speech: Sequence[Span], own: Sequence[UtteranceHeard]) -> list[Span]:
    """The stretches of `speech` of which there are own words, whole ones only, in order.

    Each message, in order of time, pays for the speech nearest to it, as far as its words last, even slowly
    said; none for what begins or ends more than `WAIT` before or after it. Of words that came at once nobody
    knows how slowly they are said: they begin no stretch when they may all have been said. To ask Whisper
    once too often does no harm.
    """
    stretches = sorted(set(speech))
    unpaid = [stretch.end - stretch.begin for stretch in stretches]
    begins = [stretch.begin for stretch in stretches]
    waiting = _Waiting(len(stretches))
    for said in sorted(own, key=lambda u: (u.at, u.end, u.text)):
        count, span = len(words_of(said.text)), Span(said.at, said.end)
        credit = worth = count * _A_WORD + _A_MESSAGE if count else timedelta(0)
        as_said = span.end - span.begin >= max(count * _AT_ONCE, _A_MESSAGE)
        reach = timedelta(0) if as_said else WAIT
        for index in _nearest(stretches, waiting, bisect_left(begins, said.at), span, reach):
            if credit <= timedelta(0) or (not as_said and worth - credit >= count * _QUICKLY):
                break
            if as_said and not mostly_the_same(stretches[index], span):
                continue
            paid = min(credit, unpaid[index])
            credit -= paid
            unpaid[index] -= paid
            if unpaid[index] <= timedelta(0):
                waiting.remove(index)
    return [stretch for stretch, rest in zip(stretches, unpaid, strict=True) if rest <= timedelta(0)]


def _nearest(
    stretches: Sequence[Span], waiting: "_Waiting", first: int, said: Span, reach: timedelta
) -> Iterator[int]:
    """Those that wait, the nearest to the message first; `first` is the first that begins after it."""
    before, after = waiting.at_or_before(first - 1), waiting.at_or_after(first)
    while True:
        earlier = _apart(stretches[before], said) if before is not None else None
        later = _apart(stretches[after], said) if after is not None else None
        if before is not None and earlier is not None and (later is None or earlier <= later):
            if earlier > reach:
                return
            yield before
            before = waiting.at_or_before(before - 1)
        elif after is not None and later is not None and later <= reach:
            yield after
            after = waiting.at_or_after(after + 1)
        else:
            return


def _apart(stretch: Span, said: Span) -> timedelta:
    return max(stretch.begin - said.end, said.begin - stretch.end, timedelta(0))


class _Waiting:
    """Numbers from 0 to `count`, of which some are removed; the nearest that is left is found at once."""

    def __init__(self, count: int) -> None:
        self._count = count
        self._after = list(range(count + 1))
        self._before = list(range(count + 1))  # one further: there, 0 is none

    def remove(self, index: int) -> None:
        self._after[index] = index + 1
        self._before[index + 1] = index

    def at_or_after(self, index: int) -> int | None:
        found = _follow(self._after, index)
        return found if found < self._count else None

    def at_or_before(self, index: int) -> int | None:
        found = _follow(self._before, index + 1)
        return found - 1 if found else None


def _follow(links: list[int], start: int) -> int:
    """The end of a chain of links, which is shortened on the way."""
    end = start
    while links[end] != end:
        end = links[end]
    while links[start] != end:
        links[start], start = end, links[start]
    return end
