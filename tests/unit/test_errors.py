import pytest

from agent.session import errors
from agent.session.errors import RecorderError, SettingsIncomplete, what_failed


class RejectedByDatabase(Exception):
    """As asyncpg's errors are: with fields, and a text that quotes the row."""

    sqlstate = "23514"
    table_name = "sessions"
    column_name = None
    constraint_name = ""


def test_every_error_of_ours_is_a_recorder_error_and_is_in_the_tree() -> None:
    ours = [e for e in vars(errors).values() if isinstance(e, type) and issubclass(e, Exception)]
    assert len(ours) > 1
    for error in ours:
        assert issubclass(error, RecorderError)
        assert error.__name__ in (errors.__doc__ or "")


def test_what_failed_is_the_type_and_the_place_and_never_the_text() -> None:
    with pytest.raises(RejectedByDatabase) as raised:
        raise RejectedByDatabase("Failing row contains (what she said)")
    fields = what_failed(raised.value)
    assert fields.pop("where").startswith("test_errors.py:")
    assert fields == {"error": "RejectedByDatabase", "sqlstate": "23514", "table_name": "sessions"}


def test_an_error_that_was_never_raised_has_no_place() -> None:
    assert what_failed(ValueError("x")) == {"error": "ValueError"}


def test_settings_that_are_missing_can_be_read_one_by_one() -> None:
    error = SettingsIncomplete(["A", "B"])
    assert error.missing == ("A", "B")
    assert str(error) == "missing settings: A, B"
