"""Every case of `python -m bench.truth`."""

from bench.truths import words
from bench.truths.case import Case

ALL: list[Case] = [*words.CASES]
