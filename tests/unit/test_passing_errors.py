"""Which of the database's errors pass by themselves."""

import asyncpg
import pytest

from db.pool import is_transient


@pytest.mark.parametrize(
    "error",
    [
        ConnectionRefusedError(),
        TimeoutError(),
        asyncpg.AdminShutdownError(),
        asyncpg.SerializationError(),
        # What a connection says that breaks in the middle of an answer, as when the server is killed.
        asyncpg.InternalClientError('cannot switch to state 12; protocol is in the "failed" state'),
    ],
)
def test_trying_again_can_help(error: Exception) -> None:
    assert is_transient(error)


@pytest.mark.parametrize(
    "error", [asyncpg.CheckViolationError(), asyncpg.UndefinedColumnError(), asyncpg.DataError(), KeyError()]
)
def test_trying_again_would_only_repeat_it(error: Exception) -> None:
    assert not is_transient(error)
