"""The SQL of this project by name: `queries["claim_session"]` is the text under `-- name: claim_session`."""

import re
from pathlib import Path

_HERE = Path(__file__).parent
_NAMED = re.compile(r"^-- name: (\w+)\n(.*?)(?=^-- name: |\Z)", re.MULTILINE | re.DOTALL)


def load(path: Path) -> dict[str, str]:
    """The named statements of a file."""
    return {name: sql.strip() for name, sql in _NAMED.findall(path.read_text("utf-8"))}


queries = load(_HERE / "queries.sql")
SCHEMA = _HERE.parent / "schema.sql"
ADOPTION = _HERE / "adoption.sql"
