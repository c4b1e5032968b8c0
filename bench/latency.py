"""How soon a recorder does its work: what a bench sees of it in LiveKit's list of rooms and in PostgreSQL."""

import asyncio
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from uuid import UUID

import asyncpg
from livekit import api

from agent.utterances import LINGER, PAUSE, RATE, WINDOW
from bench.quantiles import share_of
from bench.services import Services

LOOK_SECONDS = 0.02
COMPLETED_WITHIN = 30.0
TELLING = (
    (PAUSE + LINGER) * WINDOW / RATE
)  # s of silence without which nobody knows that an utterance is over


@dataclass(frozen=True)
class Spread:
    """Seconds: the middle, the 95th of a hundred, the worst, of `count`."""

    count: int
    median: float
    p95: float
    worst: float

    @classmethod
    def of(cls, values: Sequence[float]) -> "Spread | None":
        return (
            cls(len(values), share_of(values, 0.5), share_of(values, 0.95), max(values)) if values else None
        )

    def __str__(self) -> str:
        return f"{self.median:.2f} / {self.p95:.2f} / {self.worst:.2f} s (of {self.count})"


@dataclass(frozen=True)
class Latencies:
    """What a recorder is waited for.

    From a room's creation to its first audio frame, and the part of it since the microphone was published
    (the rest is the client's own way in); from the end of speech, and of the silence that tells of it, to
    the words in the journal; from the last leave to the completed row; and how far each reading came
    from ten seconds after the one before.
    """

    join: Spread | None
    listen: Spread | None
    utterance: Spread | None
    save: Spread | None
    punctuality: Spread | None


@dataclass
class Witness:
    """What was seen so far, from a thread of its own."""

    given: Services
    rooms: Sequence[str]
    created: dict[str, datetime] = field(default_factory=dict)
    words: dict[tuple[UUID, int], float] = field(default_factory=dict)
    saved: dict[UUID, float] = field(default_factory=dict)
    latencies: Latencies | None = None
    _stop: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        asyncio.run(self._watch())

    def stop(self) -> None:
        self._stop.set()

    async def _watch(self) -> None:
        sfu = self.given.sfu
        connection = await asyncpg.connect(self.given.database_url)
        async with api.LiveKitAPI(sfu.url, sfu.api_key, sfu.api_secret) as livekit:
            deadline = None
            while len(self.saved) < len(self.rooms) and (deadline is None or time.monotonic() < deadline):
                if self._stop.is_set() and deadline is None:
                    deadline = time.monotonic() + COMPLETED_WITHIN
                if len(self.created) < len(self.rooms):
                    await self._look_at_rooms(livekit)
                await self._look_at_sessions(connection)
                await asyncio.sleep(LOOK_SECONDS)
        self.latencies = await self._found(connection)
        await connection.close()

    async def _look_at_rooms(self, livekit: api.LiveKitAPI) -> None:
        with suppress(api.TwirpError):
            for room in (await livekit.room.list_rooms(api.ListRoomsRequest(names=self.rooms))).rooms:
                self.created[room.name] = datetime.fromtimestamp(room.creation_time_ms / 1000, UTC)

    async def _look_at_sessions(self, connection: "asyncpg.Connection[asyncpg.Record]") -> None:
        for row in await connection.fetch(_WORDS, list(self.rooms)):
            self.words.setdefault((row["session_id"], row["seq"]), row["late"])
        for row in await connection.fetch(_SAVED, list(self.rooms)):
            self.saved.setdefault(row["session_id"], row["late"])

    async def _found(self, connection: "asyncpg.Connection[asyncpg.Record]") -> Latencies:
        join, listen = await first_frames(connection, self.created)
        rows = await connection.fetch(_READINGS, list(self.rooms))
        readings = [row["off"] for row in rows if row["off"] is not None]
        return Latencies(
            join,
            listen,
            Spread.of([late - TELLING for late in self.words.values()]),
            Spread.of(list(self.saved.values())),
            Spread.of(readings),
        )


async def first_frames(
    connection: "asyncpg.Connection[asyncpg.Record]", created: Mapping[str, datetime]
) -> tuple[Spread | None, Spread | None]:
    """`join` and `listen` of `Latencies`, for rooms that were created then."""
    first = {r["room_name"]: r for r in await connection.fetch(_FIRST_FRAMES, list(created))}
    joins = [(first[name]["until"] - at).total_seconds() for name, at in created.items() if name in first]
    listens = [(row["until"] - row["at"]).total_seconds() for row in first.values()]
    return Spread.of(joins), Spread.of(listens)


@contextmanager
def witnessed(given: Services, rooms: Sequence[str]) -> Iterator[Witness]:
    """Look on while the context lasts, and until its sessions are completed."""
    witness = Witness(given, rooms)
    thread = threading.Thread(target=witness.run, name="witness")
    thread.start()
    try:
        yield witness
    finally:
        witness.stop()
        thread.join()


_WORDS = """
select e.session_id, e.seq,
       extract(epoch from clock_timestamp() - (e.data ->> 'end')::timestamptz)::float8 as late
from session_events e join sessions s using (session_id)
where e.kind = 'UtteranceHeard' and s.room_name = any($1::text[]) and e.at > now() - interval '60 seconds'
"""
_SAVED = """
select session_id, extract(epoch from clock_timestamp() - end_time)::float8 as late
from sessions where room_name = any($1::text[]) and status = 'completed'
"""
_FIRST_FRAMES = """
select distinct on (s.room_name) s.room_name, e.at, (e.data ->> 'until')::timestamptz as until
from session_events e join sessions s using (session_id)
where e.kind = 'GapNoted' and e.data ->> 'what' = 'transcript' and s.room_name = any($1::text[])
  and e.data ->> 'reason' in ('subscribing', 'recorder_joined_late')
order by s.room_name, until
"""
_READINGS = """
select abs(extract(epoch from at - lag(at) over (partition by session_id, track order by at)) - 10)::float8
       as off
from (select e.session_id, e.at, e.data ->> 'track_sid' as track, e.data ->> 'source' as source
      from session_events e join sessions s using (session_id)
      where e.kind = 'QualityRead' and s.room_name = any($1::text[])
        and (e.data ->> 'seconds')::float8 >= 9) r
where source = 'microphone'
"""
