"""Figures that clients send: JSON numbers or, as JavaScript's `toFixed` gives them, the text of one."""

import re
from typing import Annotated, Any

from pydantic import BeforeValidator, WithJsonSchema
from pydantic_core import PydanticCustomError

MOST = 1e9  # no call has more kilobits, pictures or readings; what is larger is no measurement
LONGEST = 7 * 24 * 3600  # seconds
_TEXT = r"^\s*[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?\s*$"
_NUMBER = re.compile(_TEXT)


def _number(value: Any, most: float) -> float:
    """The value of a number or of its text, not of what Python alone takes for one (`True`, `1_000`)."""
    if isinstance(value, str) and len(value) <= 64 and _NUMBER.match(value):
        value = float(value)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= most:
        raise PydanticCustomError("figure", "should be a number from 0 to {most}", {"most": f"{most:.0f}"})
    return float(value) + 0.0  # -0.0, which `toFixed` makes of what is a little less than 0, becomes 0.0


def _figure(value: Any) -> float:
    return _number(value, MOST)


def _percentage(value: Any) -> float:
    return min(_number(value, MOST), 100.0)


def _count(value: Any) -> int:
    number = _number(value, MOST)
    if not number.is_integer():
        raise PydanticCustomError("count", "should be a whole number")
    return int(number)


def _seconds(value: Any) -> int:
    return int(_number(value, LONGEST))


def _schema(most: float) -> WithJsonSchema:
    number = {"type": "number", "minimum": 0, "maximum": most}
    return WithJsonSchema({"anyOf": [number, {"type": "string", "pattern": _TEXT}]})


Figure = Annotated[float, BeforeValidator(_figure), _schema(MOST)]
Percentage = Annotated[float, BeforeValidator(_percentage), _schema(MOST)]
Count = Annotated[int, BeforeValidator(_count), _schema(MOST)]
Seconds = Annotated[int, BeforeValidator(_seconds), _schema(LONGEST)]
