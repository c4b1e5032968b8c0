"""What must hold of every record, tried on many conversations at random.

Run it with `python -m bench.properties`: the properties of `tests/unit/test_record_properties.py` on
10,000 conversations instead of the 200 that every test run tries. The seed is printed; with the same one the
same conversations are tried. Exit code 1 if one of them has a record that cannot be.
"""

import os
import secrets
import subprocess
import sys
from pathlib import Path
from typing import Annotated

import typer

from bench.command import help_of, new_app, run, say

PROJECT = Path(__file__).parents[1]
app = new_app()


@app.command(help=help_of(__doc__))
def properties(
    cases: Annotated[int, typer.Option(min=1, help="How many conversations")] = 10_000,
    seed: Annotated[int | None, typer.Option(help="Of an earlier run, to try the same again")] = None,
) -> None:
    seed = secrets.randbits(32) if seed is None else seed
    say(f"{cases:,} conversations, --seed {seed}")
    tests = "tests/unit/test_record_properties.py"
    command = [sys.executable, "-m", "pytest", tests, f"--hypothesis-seed={seed}", "--timeout=0", "-q"]
    environment = os.environ | {"PROPERTY_CASES": str(cases)}
    sys.exit(subprocess.run(command, cwd=PROJECT, env=environment, check=False).returncode)


if __name__ == "__main__":
    run(app)
