"""docs/stories.md counts its rows, and names tests and files that are there."""

import re
from collections import Counter
from pathlib import Path

PROJECT = Path(__file__).parents[2]
STORIES = (PROJECT / "docs" / "stories.md").read_text("utf-8")
TABLES = [line for line in STORIES.splitlines() if line.startswith("| ")]
ROWS = [cells for line in TABLES if len(cells := line.strip("| ").split(" | ")) == 4]
ASKED = [row for row in ROWS if row[0] not in ("line", "---")]


def test_every_row_has_a_verdict() -> None:
    assert ASKED
    assert len(ROWS) == len(TABLES)
    for line, *_, verdict in ASKED:
        assert re.fullmatch(r"held|missing.*|differs: .+", verdict), (line, verdict)


def test_the_counts_are_those_of_the_rows() -> None:
    counts = Counter(verdict.partition(":")[0] for *_, verdict in ASKED)
    seen = sum(verdict.endswith("; seen") for *_, verdict in ASKED)
    total = (
        f"{len(ASKED)} rows: {counts['held']} held, {counts['differs']} differ on purpose"
        f" ({seen} of them seen), {counts['missing']} missing."
    )
    assert f"**{total}**" in STORIES, total


def test_every_test_and_file_that_is_named_is_there() -> None:
    defined = "\n".join(path.read_text("utf-8") for path in (PROJECT / "tests").rglob("test_*.py"))
    names = set(re.findall(r"`(test_\w+)`", STORIES))
    assert {name for name in names if f"def {name}(" not in defined} == set()
    files = set(re.findall(r"`((?:agent|db|web|tests)/[\w/.-]+|schema\.sql)`", STORIES))
    assert {name for name in files if not (PROJECT / name).exists()} == set()
