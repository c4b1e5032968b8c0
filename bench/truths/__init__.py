"""Every case of `python -m bench.truth`."""

from bench.truths import coverage, words
from bench.truths.case import Case

ALL: list[Case] = [*words.CASES, *coverage.CASES]
