import json
import logging
from collections.abc import Iterator
from datetime import UTC, datetime
from io import StringIO
from typing import Any
from uuid import UUID

import pytest
import stamina
import stamina.instrumentation
import structlog

from agent import logs

LOGGERS = ("", "livekit.agents", *logs._DISCREET)


@pytest.fixture(autouse=True)
def _as_it_was() -> Iterator[None]:
    """Put back what `configure` changes for the whole process."""
    root = logging.getLogger()
    handlers, levels = root.handlers[:], {name: logging.getLogger(name).level for name in LOGGERS}
    config, hooks = structlog.get_config(), stamina.instrumentation.get_on_retry_hooks()
    yield
    root.handlers[:] = handlers
    for name, level in levels.items():
        logging.getLogger(name).setLevel(level)
    structlog.configure(**config)
    stamina.instrumentation.set_on_retry_hooks(hooks)
    structlog.contextvars.clear_contextvars()


@pytest.fixture
def stream() -> StringIO:
    """Where the lines go: no terminal, therefore JSON."""
    stream = StringIO()
    logs.configure("INFO", stream)
    return stream


def lines(stream: StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def without_time(line: dict[str, Any]) -> dict[str, Any]:
    moment = datetime.fromisoformat(line.pop("timestamp"))
    assert abs((datetime.now(UTC) - moment).total_seconds()) < 60
    return line


def test_an_event_is_one_line_of_json(stream: StringIO) -> None:
    structlog.stdlib.get_logger("agent.room").info("room_joined", room="coaching-1", waited=0.5, again=False)
    (line,) = lines(stream)
    assert without_time(line) == {
        "event": "room_joined",
        "level": "info",
        "logger": "agent.room",
        "room": "coaching-1",
        "waited": 0.5,
        "again": False,
    }


def test_a_line_of_the_standard_library_is_one_too_with_its_fields(stream: StringIO) -> None:
    logging.getLogger("livekit.agents").warning("took %d s", 3, extra={"worker_id": "AW_1"})
    (line,) = lines(stream)
    assert without_time(line) == {
        "event": "took 3 s",
        "level": "warning",
        "logger": "livekit.agents",
        "worker_id": "AW_1",
    }


def test_what_is_bound_to_a_job_is_on_every_line(stream: StringIO) -> None:
    structlog.contextvars.bind_contextvars(room="coaching-1")
    structlog.stdlib.get_logger("agent").info("one")
    structlog.stdlib.get_logger("agent").warning("two")
    assert [line["room"] for line in lines(stream)] == ["coaching-1", "coaching-1"]


def test_several_lines_of_text_are_one_line(stream: StringIO) -> None:
    logging.getLogger("other").warning("one\ntwo", extra={"field": "three\nfour"})
    (line,) = lines(stream)
    assert (line["event"], line["field"]) == ("one\ntwo", "three\nfour")


def test_a_traceback_is_in_the_line(stream: StringIO) -> None:
    try:
        raise LookupError("nothing there")
    except LookupError:
        logging.getLogger("other").exception("failed")
    (line,) = lines(stream)
    assert (line["event"], line["level"]) == ("failed", "error")
    assert "LookupError: nothing there" in line["exception"]


def test_a_value_that_json_does_not_know_is_written_as_text(stream: StringIO) -> None:
    session_id = UUID(int=1)
    structlog.stdlib.get_logger("agent").info("saved", session_id=session_id)
    assert lines(stream)[0]["session_id"] == str(session_id)


def test_a_record_handed_on_by_a_job_process_does_not_say_its_event_twice(stream: StringIO) -> None:
    record = logging.getLogger("agent.room").makeRecord(
        "agent.room", logging.INFO, __file__, 1, "room_joined", (), None
    )
    record.message = record.getMessage()  # as a queue handler leaves it
    logging.getLogger().handle(record)
    (line,) = lines(stream)
    assert without_time(line) == {"event": "room_joined", "level": "info", "logger": "agent.room"}


def test_what_is_less_severe_is_not_logged(stream: StringIO) -> None:
    structlog.stdlib.get_logger("agent").debug("detail")
    logging.getLogger("other").debug("detail")
    assert lines(stream) == []


@pytest.mark.parametrize("name", logs._DISCREET)
def test_libraries_that_quote_requests_are_heard_from_warnings_on(name: str, stream: StringIO) -> None:
    logging.getLogger(name).info("HTTP Request: POST …")
    logging.getLogger(name + ".child").info("HTTP Request: POST …")
    logging.getLogger(name).warning("lost")
    assert [line["event"] for line in lines(stream)] == ["lost"]


def test_the_agents_framework_is_heard_as_we_are(stream: StringIO) -> None:
    logging.getLogger("livekit.agents").info("registered worker")
    assert len(lines(stream)) == 1


def test_configuring_again_does_not_double_the_lines() -> None:
    stream = StringIO()
    logs.configure("INFO", stream)
    logs.configure("INFO", stream)
    structlog.stdlib.get_logger("agent").info("once")
    assert len(lines(stream)) == 1


def test_a_retry_of_stamina_quotes_nothing_because_it_says_nothing(stream: StringIO) -> None:
    attempts = []
    for attempt in stamina.retry_context(
        on=ValueError, attempts=3, wait_initial=0, wait_max=0, wait_jitter=0
    ):
        with attempt:
            attempts.append(attempt.num)
            if attempt.num < 3:
                raise ValueError("what she said")
    assert attempts == [1, 2, 3]
    assert stamina.instrumentation.get_on_retry_hooks() == ()
    assert stream.getvalue() == ""


class Terminal(StringIO):
    def isatty(self) -> bool:
        return True


HOSTILE = "Sam\x1b[2J\u202egnp\x9b1m\r\nworker_ready"


def test_a_terminal_is_not_told_what_to_do_by_an_identity() -> None:
    stream = Terminal()
    logs.configure("INFO", stream)
    structlog.stdlib.get_logger("agent").info("message_refused", identity=HOSTILE, **{HOSTILE: 1})
    (line,) = stream.getvalue().split("\n")[:-1]
    for shown in (r"Sam\x1b[2J", r"\u202egnp", r"\x9b1m", r"\r\nworker_ready"):
        assert shown in line
    assert not {"\u202e", "\x9b", "\r"} & set(line)
    assert "\x1b[2J" not in line


def test_a_traceback_on_a_terminal_shows_no_values() -> None:
    stream = Terminal()
    logs.configure("INFO", stream)
    words = "what she said" + HOSTILE
    try:
        raise LookupError(len(words))
    except LookupError:
        structlog.stdlib.get_logger("agent").exception("failed")
    assert "LookupError" in stream.getvalue()
    assert "Sam" not in stream.getvalue()
    assert "test_logs.py" in stream.getvalue()
