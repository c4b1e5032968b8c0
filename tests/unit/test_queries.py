import re
from pathlib import Path

from db.queries import SCHEMA, load, queries

DB = Path(__file__).parents[2] / "db"


def test_statements_are_found_by_name(tmp_path: Path) -> None:
    path = tmp_path / "some.sql"
    path.write_text(
        "-- About the file.\n\n-- name: one\nselect 1\n\n-- name: two\n-- Why.\nselect 2\nfrom t\n"
    )
    assert load(path) == {"one": "select 1", "two": "-- Why.\nselect 2\nfrom t"}


def test_no_two_statements_share_a_name() -> None:
    names = re.findall(r"^-- name: (\w+)$", (DB / "queries.sql").read_text("utf-8"), re.MULTILINE)
    assert sorted(names) == sorted(queries)


def test_every_statement_is_used_and_every_one_that_is_used_is_there() -> None:
    root = DB.parent
    used = {
        name
        for folder in ("agent", "db", "web")
        for path in (root / folder).rglob("*.py")
        for name in re.findall(r"[^`]queries\[\"(\w+)\"\]", path.read_text("utf-8"))
    }
    assert used == queries.keys()


def test_no_statement_is_empty_and_the_schema_is_there() -> None:
    assert all(
        re.search(r"^(select|insert|update|delete|with)\b", sql, re.MULTILINE) for sql in queries.values()
    )
    assert SCHEMA.is_file()
