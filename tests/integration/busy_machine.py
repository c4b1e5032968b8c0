"""What a machine that has other work delays or garbles is measured by the benchmark, not judged by a test."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from bench.disasters import judging, verdict


@contextmanager
def on_a_busy_machine() -> Iterator[None]:
    """Own words, sessions and stays are judged; how spoken audio came through, and to the second, is not."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(judging, "STUTTERED", 1.0)
        patch.setattr(verdict, "HEARD_SHARE", 0.0)
        patch.setattr(verdict, "LEFT_SEEN", 20.0)
        patch.setattr(verdict, "LEFT_UNSEEN", 30.0)
        yield
