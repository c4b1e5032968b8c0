"""What a long room's recorder has in its journal, for `bench.long_room`."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import accumulate
from random import Random
from typing import Literal
from uuid import UUID

from agent.session.events import (
    ConnectionQualityChanged,
    Event,
    GapNoted,
    MicrophoneChanged,
    ParticipantJoined,
    ParticipantLeft,
    QualityRead,
    SessionEnded,
    UtteranceHeard,
)
from agent.session.fold import ROOM_EMPTY
from agent.session.rooms import SessionInfo

BEGAN = datetime(2026, 3, 1, 10, tzinfo=UTC)
UTTERANCES, REJOINS, READINGS = 2000, 30, 360  # an hour: of all, of each person, of each track
# Words as often as in English: the n-th of them about 1 / (n + 2.7) as often (Zipf, Mandelbrot).
_WORDS = [f"{a}{b}{c}" for a in "bdfgklmnprstvz" for b in "aeiou" for c in "bdfgklmnprstvz"]
_WEIGHTS = list(accumulate(1 / (rank + 2.7) for rank in range(1, len(_WORDS) + 1)))


def room(session_id: UUID) -> SessionInfo:
    return SessionInfo(session_id, f"coaching-{session_id}", f"RM_{session_id}", None, None, "video")


def events(hours: float, people: int) -> Iterator[Event]:
    """All but the end: who came and went, what was said (every other utterance also sent), how it was."""
    random = Random(11)
    names = [f"person-{n}" for n in range(people)]
    yield from (event for name in names for event in _comings(name, hours))
    for n in range(round(UTTERANCES * hours)):
        begin = BEGAN + timedelta(seconds=3600 / UTTERANCES * n)
        yield from _said(names[n % people], begin, random, sent=n % 2 == 0)
    for n in range(1, round(READINGS * hours)):
        at = BEGAN + timedelta(seconds=3600 / READINGS * n)
        for name in names:
            yield _reading(name, at, "camera")
            yield _reading(name, at, "microphone")


def end(hours: float, people: int) -> Iterator[Event]:
    """Everybody leaves."""
    at = BEGAN + timedelta(hours=hours, seconds=2)
    last = round(REJOINS * hours) - 1
    for n in range(people):
        yield ParticipantLeft(at=at, identity=f"person-{n}", participant_sid=f"PA_person-{n}_{last}")
    yield SessionEnded(at=at, reason=ROOM_EMPTY)


def one_more(n: int, hours: float) -> Event:
    """What still comes of a session that has ended: late words."""
    at = BEGAN + timedelta(hours=hours, seconds=-30 - n / 10)
    return UtteranceHeard(
        at=at, end=at + timedelta(seconds=1), identity="person-0", text="late words", source="whisper"
    )


def _comings(name: str, hours: float) -> Iterator[Event]:
    rejoins, stay = round(REJOINS * hours), timedelta(seconds=3600 / REJOINS)
    for n in range(rejoins):
        at, sid = BEGAN + stay * n, f"PA_{name}_{n}"
        yield ParticipantJoined(at=at, identity=name, participant_sid=sid, name=name, role="participant")
        yield MicrophoneChanged(at=at, identity=name, track_sid=f"TR_{n}", on=True)
        heard = at + timedelta(seconds=0.2)
        yield GapNoted(at=at, until=heard, what="transcript", reason="subscribing", identity=name)
        yield ConnectionQualityChanged(at=heard, identity=name, quality="excellent")
        if n < rejoins - 1:
            yield ParticipantLeft(at=at + stay - timedelta(seconds=2), identity=name, participant_sid=sid)


def _said(name: str, begin: datetime, random: Random, *, sent: bool) -> Iterator[Event]:
    words = random.choices(_WORDS, cum_weights=_WEIGHTS, k=random.randint(4, 20))
    end = begin + timedelta(seconds=0.3 * len(words))
    yield UtteranceHeard(at=begin, end=end, identity=name, text=" ".join(words), source="whisper")
    if sent:
        words[random.randrange(len(words))] = "other"
        yield UtteranceHeard(
            at=begin, end=end, identity=name, text=" ".join(words), source="data", told="agent"
        )


def _reading(name: str, at: datetime, source: Literal["camera", "microphone"]) -> QualityRead:
    return QualityRead(
        at=at, seconds=10.0, identity=name, track_sid=f"TR_{name}_{source}", source=source,
        leg="sfu_to_recorder", bitrate_kbps=512.5, fps=24.5, packets_lost=1, packets_received=500, mos=4.2,
    )  # fmt: skip
