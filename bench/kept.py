"""What a recorder left of the measured rooms in PostgreSQL: the proof that it did its work."""

from dataclasses import dataclass

import asyncpg


@dataclass(frozen=True)
class Kept:
    """Over all rooms. The cameras' figures are means, and None where no camera was read."""

    completed: int
    lines: int
    gaps: int
    readings: int
    camera_fps: float | None
    camera_kbps: float | None


async def kept(database_url: str, rooms: list[str]) -> Kept:
    """The sessions of these rooms."""
    connection = await asyncpg.connect(database_url)
    try:
        row = await connection.fetchrow(_QUERY, rooms)
        assert row is not None
        return Kept(**row)
    finally:
        await connection.close()


async def renewals(database_url: str) -> int:
    """How often sessions' rows were written so far: with each flush the lease is renewed, or alone."""
    connection = await asyncpg.connect(database_url)
    try:
        count: int = await connection.fetchval(
            "select n_tup_upd from pg_stat_user_tables where relname = 'sessions'"
        )
        return count
    finally:
        await connection.close()


_QUERY = """
with ours as (
    select * from sessions where room_name = any($1::text[])
), read as (
    select q.* from quality_readings q join ours using (session_id)
)
select (select count(*) from ours where status = 'completed') as completed,
       (select coalesce(sum(jsonb_array_length(transcript)), 0)::int from ours) as lines,
       (select coalesce(sum(jsonb_array_length(gaps)), 0)::int from ours) as gaps,
       (select count(*) from read) as readings,
       (select avg(fps) from read where source = 'camera') as camera_fps,
       (select avg(bitrate_kbps) from read where source = 'camera') as camera_kbps
"""
