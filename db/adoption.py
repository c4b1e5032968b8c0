"""Tables that are in the database already, under the names of ours.

A platform may have a table `sessions` of its own. Where it can, its rows become sessions of the recorder;
else nothing is changed, and whoever migrates hears what to do.
"""

import re
from collections.abc import Iterator
from typing import Any, TypeAlias

import asyncpg

from agent.session.errors import SchemaNotApplied, what_failed
from db.queries import ADOPTION, SCHEMA

Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record]"

OWN_SCHEMA = (
    "nothing was changed. Let the recorder have a schema of its own: `create schema coaching`, and "
    "?options=-csearch_path%3Dcoaching at the end of DATABASE_URL"
)
_CREATED = re.compile(r"^create table if not exists (\w+) \((.*?)^\);", re.MULTILINE | re.DOTALL)
_COLUMN = re.compile(r"^    ([a-z]\w*)", re.MULTILINE)
_NO_COLUMNS = {"primary", "unique", "check", "constraint", "foreign"}
_FOUND = """
select c.oid, c.relkind = 'r' and not c.relispartition as plain,
       array(select attname::text from pg_attribute
             where attrelid = c.oid and attnum > 0 and not attisdropped) as columns
from pg_class c where c.relnamespace = current_schema()::regnamespace and c.relname = $1
"""
_NEEDED = {"session_id", "mode", "start_time"}
_KNOWN = {
    *_NEEDED,
    *("user_id", "counselor_category", "end_time", "duration_seconds"),
    *("transcript", "quality_metrics", "created_at"),
}
_CANNOT = (
    asyncpg.SyntaxOrAccessError,  # a type that is another's, or a table that is not this user's
    asyncpg.DataError,
    asyncpg.IntegrityConstraintViolationError,
    asyncpg.FeatureNotSupportedError,  # a column that a view uses
    asyncpg.ObjectNotInPrerequisiteStateError,
)
# What of the table would refuse sessions that the recorder writes.
_OBSTACLES = """
select format('column %s must be given', attname) from pg_attribute
where attrelid = $1 and attnum > 0 and not attisdropped and attnotnull and not atthasdef and attidentity = ''
  and attname <> all($2::text[])
union all
select format('%s is unique', indexrelid::regclass) from pg_index
where indrelid = $1 and indisunique and not indisprimary and indkey::text <> $3
union all
select 'its primary key is not session_id' from pg_index
where indrelid = $1 and indisprimary and indkey::text <> $3
"""


async def adopt_existing(connection: Connection, room_prefix: str) -> list[str]:
    """Make room for the schema, in the transaction that applies it; what was done, a line each.

    Raises `SchemaNotApplied` for tables of our names that are not ours and cannot become so.
    """
    if await connection.fetchval("select current_schema()") is None:
        raise SchemaNotApplied(
            "no schema of the search_path that DATABASE_URL asks for is there, or its user may not use it: "
            "`create schema` it first"
        )
    done: list[str] = []
    for table, columns in _tables():
        found = await connection.fetchrow(_FOUND, table)
        if found is None or (found["plain"] and columns <= set(found["columns"])):
            continue
        if table != "sessions" or not found["plain"] or _is_strange(set(found["columns"]), columns):
            raise SchemaNotApplied(f"there is a `{table}` that is not the recorder's: {OWN_SCHEMA}")
        done += await _adopt(connection, found["oid"], room_prefix)
    return done


def _tables() -> Iterator[tuple[str, set[str]]]:
    """The tables of schema.sql with the columns that each has had from the beginning."""
    for name, body in _CREATED.findall(SCHEMA.read_text("utf-8")):
        yield name, set(_COLUMN.findall(body)) - _NO_COLUMNS


def _is_strange(columns: set[str], ours: set[str]) -> bool:
    """Whether a platform's table lacks what a session needs, or has other things under our names."""
    return not columns >= _NEEDED or bool(columns & (ours - _KNOWN))


async def _adopt(connection: Connection, oid: int, room_prefix: str) -> list[str]:
    try:
        rows = await connection.fetchval("select count(*) from sessions")
        dropped = await _without_constraints(connection, oid)
        await connection.execute("select set_config('app.room_prefix', $1, true)", room_prefix)
        await connection.execute(ADOPTION.read_text("utf-8"))
    except _CANNOT as error:
        why = ", ".join(str(value) for name, value in what_failed(error).items() if name != "where")
        raise SchemaNotApplied(f"the table `sessions` cannot be adopted ({why}): {OWN_SCHEMA}") from None
    return [f"adopted the table `sessions` that was there, with {rows} finished sessions", *dropped]


async def _without_constraints(connection: Connection, oid: int) -> list[str]:
    """Drop what would refuse a session, or the change of a column's type.

    A recorder may write sessions of users and categories that the platform's tables do not have (yet).
    """
    key = await connection.fetchval(
        "select attnum::text from pg_attribute where attrelid = $1 and attname = 'session_id'", oid
    )
    obstacles: list[Any] = await connection.fetch(_OBSTACLES, oid, list(_KNOWN), key)
    if obstacles:
        what = "; ".join(str(row[0]) for row in obstacles)
        raise SchemaNotApplied(f"the table `sessions` cannot be adopted ({what}): {OWN_SCHEMA}")
    if not await connection.fetchval(
        "select exists (select from pg_index where indrelid = $1 and indisprimary)", oid
    ):
        await connection.execute("alter table sessions add primary key (session_id)")
    constraints = await connection.fetch(
        "select conname, pg_get_constraintdef(oid) as rule from pg_constraint "
        "where conrelid = $1 and contype in ('f', 'c') order by conname",
        oid,
    )
    for constraint in constraints:
        name = await connection.fetchval("select quote_ident($1)", constraint["conname"])
        await connection.execute(f"alter table sessions drop constraint {name}")
    return [
        f"dropped its constraint {constraint['conname']}: {constraint['rule']}" for constraint in constraints
    ]
