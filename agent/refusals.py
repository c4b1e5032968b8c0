"""What is refused of a room's messages: log lines that no sender can multiply, and gaps."""

import asyncio
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog
from livekit import rtc

from agent.budgets import Budgets
from agent.recorder import Recorder
from agent.senders import can_be_heard
from agent.session.errors import MessageRefused
from agent.session.events import GapNoted
from agent.session.reasons import OWN_WORDS_REFUSED
from agent.session.rooms import storable

log = structlog.stdlib.get_logger()

A_MESSAGE = timedelta(seconds=1)  # as long as one takes to say, at least
QUIET_SECONDS = 10.0  # what is refused sooner after the last belongs to the same gap
_MOST_GAPS = 200  # from then on a gap goes on until it was quiet for long
LONG_QUIET_SECONDS = 600.0
_MOST_TOLD = 1_000


@dataclass(slots=True)
class _Gap:
    since: datetime
    until: datetime
    timer: asyncio.TimerHandle


class Refusals:
    """One room's. Of the same sender a line each, until they go on and on."""

    def __init__(self, recorder: Recorder, budgets: Budgets) -> None:
        self._recorder = recorder
        self._budgets = budgets
        self._told: set[tuple[str | None, str, str]] = set()
        self._open: dict[str, _Gap] = {}  # by identity
        self._gaps = 0

    def note(
        self,
        topic: str,
        sender: rtc.RemoteParticipant | None,
        refusal: MessageRefused,
        at: datetime,
        since: datetime | None = None,
    ) -> None:
        """Something was refused that came (or was said, `since`) then; `sender` is None for one unknown."""
        identity = sender.identity if sender else None
        if self._to_be_told(identity, topic, refusal):
            log.warning("message_refused", topic=topic, identity=identity, reason=str(refusal))
        if refusal.words and sender is not None:
            # Whom Whisper hears anyway has lost no time of it, only this moment's message.
            self._missing(storable(sender.identity), since or at, at, a_moment=can_be_heard(sender))

    def close(self) -> None:
        """Tell what is still open."""
        for identity in list(self._open):
            self._settle(identity)

    def _to_be_told(self, identity: str | None, topic: str, refusal: MessageRefused) -> bool:
        if identity is not None and not refusal.once:
            return self._budgets.line(identity)
        key = identity, topic, str(refusal)
        if key in self._told or len(self._told) >= _MOST_TOLD:
            return False
        self._told.add(key)
        return True

    def _missing(self, identity: str, since: datetime, until: datetime, *, a_moment: bool) -> None:
        gap = self._open.get(identity)
        if gap is None:
            self._gaps += 1
        else:
            gap.timer.cancel()
            since = min(gap.since, since)
        quiet = QUIET_SECONDS if self._gaps <= _MOST_GAPS else LONG_QUIET_SECONDS
        timer = asyncio.get_running_loop().call_later(quiet, self._settle, identity)
        self._open[identity] = _Gap(since, since if a_moment else max(until, since + A_MESSAGE), timer)

    def _settle(self, identity: str) -> None:
        gap = self._open.pop(identity)
        gap.timer.cancel()
        self._recorder.record(
            GapNoted(
                at=gap.since, until=gap.until, what="transcript", reason=OWN_WORDS_REFUSED, identity=identity
            )
        )
