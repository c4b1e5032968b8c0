"""An agent's speech waits for the words that its program sends of it; without them it goes to Whisper.

A program whose recogniser died, or that sends words now and then only, must not make its voice silent.
Asking Whisper once too often does no harm: what reads alike is written once.
"""

import asyncio
from collections.abc import Hashable
from contextlib import suppress
from datetime import datetime, timedelta

from agent.clock import now
from agent.session.events import UtteranceHeard
from agent.session.own_words import WAIT, accounted_for
from agent.session.spans import Span
from agent.spoken import Spoken

_REMEMBERED = 4 * WAIT  # what was longer ago neither needs words nor has any left over


class OwnWordsHeld:
    """One room's agents: what they said aloud, and the words that came. `wait`: so long after speech."""

    def __init__(self, wait: timedelta = WAIT) -> None:
        self._wait = wait
        self._speech: dict[str, list[Span]] = {}  # by identity
        self._own: dict[str, dict[Hashable, UtteranceHeard]] = {}
        self._sending: dict[str, datetime] = {}  # who sends words of their own, and when the last came
        self._changed = asyncio.Event()
        self._turn = 0
        self._over = False

    def sends(self, identity: str) -> bool:
        """Whether words of this agent's are to be expected."""
        return identity in self._sending

    def sent(self, words: UtteranceHeard) -> None:
        """Words came. A text that replaces another of its segment counts alone."""
        own = self._own.setdefault(words.identity, {})
        own[words.segment or words] = words
        for key in [key for key, old in own.items() if old.end < now() - _REMEMBERED]:
            del own[key]
        self._sending[words.identity] = now()
        self._wake()

    def gone(self, identity: str) -> None:
        """They left: who returns may be another program."""
        self._sending.pop(identity, None)
        self._wake()

    def spoke(self, spoken: Spoken) -> int:
        """They said something aloud, of which words may be. What it gives is to be asked `came` with."""
        speech = self._speech.setdefault(spoken.identity, [])
        speech[:] = [span for span in speech if span.end > now() - _REMEMBERED]
        speech.append(Span(spoken.begin, spoken.end))
        return self._turn

    def decide(self, *, for_good: bool = False) -> None:
        """Nobody waits any longer for what was said up to now; `for_good`: nor for what comes."""
        self._turn += 1
        self._over |= for_good
        self._wake()

    async def came(self, spoken: Spoken, turn: int) -> bool:
        """Whether own words account for this speech; waits for them, half a minute after its end at most."""
        span, until = Span(spoken.begin, spoken.end), spoken.end + self._wait
        while not self._accounted(spoken.identity, span):
            left = (until - now()).total_seconds()
            if left <= 0 or self._over or turn != self._turn or not self.sends(spoken.identity):
                self._doubt(spoken, waited=left <= 0)
                return False
            changed = self._changed
            with suppress(TimeoutError):
                await asyncio.wait_for(changed.wait(), left)
        return True

    def _accounted(self, identity: str, span: Span) -> bool:
        own = list(self._own.get(identity, {}).values())
        return bool(own) and span in accounted_for(self._speech.get(identity, []), own)

    def _doubt(self, spoken: Spoken, *, waited: bool) -> None:
        """Who sent nothing since they spoke, sends no more: nothing else of theirs is held until they do."""
        last = self._sending.get(spoken.identity)
        if waited and last is not None and last <= spoken.end:
            self.gone(spoken.identity)

    def _wake(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()
