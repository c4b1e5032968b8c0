"""Connection quality: LiveKit tells a participant the same score of itself that it tells the recorder."""

import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from livekit import rtc

from agent.demo.bad_line import GOOD, TO_SFU, Conditions
from agent.demo.caller import Caller
from agent.session.connection import QualityState
from agent.session.events import ConnectionQualityChanged, from_row
from agent.session.metrics import connection_quality_in_words
from bench.stack import Stack, connected, new_room, until
from bench.truths.bad_room import bad_stack
from bench.truths.case import Case, Rig, Row

PHASES = ((GOOD, 20.0), (Conditions(loss=0.4), 30.0), (GOOD, 30.0))
WORDS = {
    rtc.ConnectionQuality.QUALITY_EXCELLENT: "excellent",
    rtc.ConnectionQuality.QUALITY_GOOD: "good",
    rtc.ConnectionQuality.QUALITY_POOR: "poor",
    rtc.ConnectionQuality.QUALITY_LOST: "lost",
}
APART_SECONDS = 1.0


@dataclass
class Scores:
    """What a participant was told of itself, without repetitions."""

    changes: list[tuple[datetime, str]] = field(default_factory=list)

    def follow(self, caller: Caller) -> None:
        caller.room.on("connection_quality_changed", self._changed)

    def _changed(self, who: rtc.Participant | None, quality: rtc.ConnectionQuality) -> None:
        if isinstance(who, rtc.LocalParticipant):
            self.note(datetime.now(UTC), WORDS[quality])

    def note(self, at: datetime, quality: str) -> None:
        if not self.changes or self.changes[-1][1] != quality:
            self.changes.append((at, quality))

    @property
    def qualities(self) -> str:
        return ", ".join(quality for _, quality in self.changes)


async def scores(rig: Rig) -> list[Row]:
    """A microphone on a line that is good, bad and good again."""
    with bad_stack(rig.folder / "scores", rig.postgres, rig.whisper_url) as bad:
        room, truth = new_room(), Scores()
        async with bad.stack.joining(room, "student-1") as student:
            truth.follow(student)
            await until(lambda: bad.stack.log("recording_began", room=room))
            for conditions, seconds in PHASES:
                bad.line.set(TO_SFU, conditions)
                await asyncio.sleep(seconds)
        assert student.left_at is not None
        record = await bad.stack.completed(room)
        journaled = await _journaled(bad.stack, room)
    recorded = record["quality_metrics"]["participants"]["student-1"]["connection_quality_average"]
    average = connection_quality_in_words(_states(truth.changes, student.left_at))
    apart = [
        abs((ours - theirs).total_seconds())
        for (theirs, _), (ours, _) in zip(truth.changes, journaled.changes, strict=False)
    ]
    same = truth.qualities == journaled.qualities
    name = "connection quality, a bad line"
    return [
        Row(
            f"{name}: states",
            truth.qualities,
            journaled.qualities,
            f"{max(apart, default=0.0):.2f} s apart",
            same and len(truth.changes) > 1 and max(apart) <= APART_SECONDS,
        ),
        Row(
            f"{name}: average", average, recorded, "" if average == recorded else "other", average == recorded
        ),
    ]


def _states(changes: Sequence[tuple[datetime, str]], left_at: datetime) -> list[QualityState]:
    ends = [at for at, _ in changes[1:]] + [left_at]
    return [
        QualityState(quality, begin, end)  # type: ignore[arg-type]
        for (begin, quality), end in zip(changes, ends, strict=True)
    ]


async def _journaled(stack: Stack, room: str) -> Scores:
    """What the recorder wrote down of the same."""
    async with connected(stack.dsn) as connection:
        rows = await connection.fetch(
            "select kind, at, data::text from session_events"
            " where session_id = $1::text::uuid and kind = 'ConnectionQualityChanged' order by at, seq",
            room.removeprefix("coaching-"),
        )
    found = Scores()
    for row in rows:
        event = from_row(row["kind"], row["at"], json.loads(row["data"]))
        assert isinstance(event, ConnectionQualityChanged)
        found.note(event.at, event.quality)
    return found


CASES = [Case("connection quality", 110, scores)]
