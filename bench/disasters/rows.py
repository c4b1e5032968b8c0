"""A line of the table: what was promised, and what was seen."""

import traceback
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Row:
    """`ok`: what was seen keeps the promise."""

    case: str
    promise: str
    expected: str
    seen: str
    ok: bool


def count(case: str, promise: str, expected: int, seen: int, details: str = "") -> Row:
    """A promise of exactly so many."""
    return Row(case, promise, str(expected), f"{seen} {details}".rstrip(), seen == expected)


def at_most(case: str, promise: str, limit: float, values: Sequence[float], unit: str = "s") -> Row:
    """A promise that nothing is above a limit. Without a single value nothing was seen: not kept."""
    if not values:
        return Row(case, promise, f"<= {limit:g} {unit}", "nothing", ok=False)
    seen = f"{max(values):.2f} {unit}" + (f" (of {len(values)})" if len(values) > 1 else "")
    return Row(case, promise, f"<= {limit:g} {unit}", seen, max(values) <= limit)


def broken(case: str, error: BaseException) -> Row:
    """A case that could not be played to its end."""
    inner = error
    while isinstance(inner, BaseExceptionGroup):
        inner = inner.exceptions[0]
    frames = traceback.extract_tb(inner.__traceback__)
    ours = [f"{Path(f.filename).name}:{f.lineno}" for f in frames if "disasters" in f.filename]
    return Row(case, "played to its end", "yes", f"{type(inner).__name__} {inner} at {ours[-1:]}", ok=False)
