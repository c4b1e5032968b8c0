"""Text from others on a terminal: what would move the cursor or colour the line is shown, not obeyed."""

from collections.abc import Mapping
from typing import Any

_SEEN = "\u00a0\u200c\u200d\u3000"  # spaces, and joiners within words and emoji


def printable(text: str) -> str:
    r"""The text in one line: `\x1b` for an ESC, `\u202e` for what turns the direction of writing."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() or c in _SEEN else c.encode("unicode_escape").decode() for c in text)


def printable_values(value: Any) -> Any:
    """The same for every text in a record."""
    if isinstance(value, str):
        return printable(value)
    if isinstance(value, Mapping):
        return {printable_values(key): printable_values(item) for key, item in value.items()}
    if isinstance(value, list):
        return [printable_values(item) for item in value]
    return value
