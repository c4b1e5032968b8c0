"""Fill a database with sessions: one user with many of them, a counselor who held these, and many others."""

import random
from collections.abc import Callable
from pathlib import Path
from uuid import UUID

import asyncpg

from db.pool import migrate
from db.queries import load

sql = load(Path(__file__).with_name("fill.sql"))
READER = UUID("5b1e0a3c-93a1-4f0a-8c51-0e9f2c3d4e5f")
COUNSELOR = UUID("7c0e7f0a-1b0f-4d0c-8a7e-3f2d1c0b9a88")  # was in all of the reader's sessions
READERS_SHARE = 50  # one session in so many is theirs
OWN_SENTENCES = 150  # a session of 23 minutes
OTHERS_SENTENCES = 10  # short ones: a million long ones take a day to make up
OTHERS = 5_000
WITH_READINGS = 400  # sessions of theirs that can be looked at in detail
RARE = "zygote"
OWN_RARITY, OTHERS_RARITY = 100, 20_000  # it is said in one session of so many
_BATCH = 20_000
_SENTENCES, _WORDS, _LENGTH = 20_000, 8_000, 12
_SYLLABLES = ("ba", "co", "di", "fe", "gu", "ha", "jo", "ki", "le", "mu", "na", "po", "ri", "sa", "to", "vu")


def vocabulary() -> list[str]:
    """Words that nobody means, the same each time; the first are the ones most said."""
    made = random.Random(1)
    words: dict[str, None] = {}
    while len(words) < _WORDS:
        words["".join(made.choices(_SYLLABLES, k=made.randint(1, 4)))] = None
    return list(words)


async def fill(dsn: str, begin: int, end: int, say: Callable[[str], None]) -> None:
    """Sessions `begin` to `end`, with stays and readings; all indexes and statistics as they should be."""
    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute("set maintenance_work_mem = '1GB'; set synchronous_commit = off")
        await _lay_out_sentences(connection)
        await connection.execute(sql["forget_words"])
        own = begin + (end - begin) // READERS_SHARE
        await _add(connection, range(begin, own), (READER, OWN_SENTENCES, OWN_RARITY), say)
        await _add(connection, range(own, end), (None, OTHERS_SENTENCES, OTHERS_RARITY), say)
        say("  who was there, and how good it was")
        await connection.execute(sql["add_stays"])
        await connection.execute(sql["add_readings"], READER, WITH_READINGS)
        say("  index of the words")
        await connection.execute(sql["forget_sentences"])
    finally:
        await connection.close()
    await migrate(dsn)
    await _tidy(dsn)


async def _lay_out_sentences(connection: "asyncpg.Connection[asyncpg.Record]") -> None:
    """Words as often as in a language: the second half as often as the first (Zipf)."""
    words, made = vocabulary(), random.Random(2)
    often = [1 / (rank + 2.7) for rank in range(len(words))]
    sentences = (" ".join(made.choices(words, often, k=_LENGTH)) for _ in range(_SENTENCES))
    await connection.execute(sql["new_sentences"])
    await connection.copy_records_to_table("bench_sentences", records=list(enumerate(sentences, start=1)))


async def _add(
    connection: "asyncpg.Connection[asyncpg.Record]",
    numbers: range,
    kind: tuple[UUID | None, int, int],
    say: Callable[[str], None],
) -> None:
    owner, sentences, rarity = kind
    for first in numbers[::_BATCH]:
        last = min(first + _BATCH, numbers.stop) - 1
        say(f"  sessions {first:,} to {last:,}, {sentences} sentences each")
        await connection.execute(
            sql["add_sessions"],
            first,
            last,
            owner,
            sentences,
            OTHERS,
            RARE,
            _SENTENCES,
            rarity,
            COUNSELOR if owner else None,
        )


async def _tidy(dsn: str) -> None:
    """What autovacuum would have done by and by."""
    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute("vacuum analyze")
        await connection.execute("checkpoint")
    finally:
        await connection.close()
