"""Logs: structlog for everything, the framework's own loggers included.

Readable on a terminal, one JSON object a line otherwise. Job processes hand their records to the worker,
which writes them; room and session are bound to every line of a job. What people say never appears.
"""

import logging
import sys
from datetime import UTC, datetime
from io import StringIO
from typing import IO, Any, TextIO

import stamina.instrumentation
import structlog
from structlog.typing import EventDict, ExcInfo, WrappedLogger

from agent.printable import printable

# These quote requests or events at their lower levels.
_DISCREET = ("httpx", "httpx2", "httpcore", "httpcore2", "openai", "asyncio", "livekit", "aiohttp", "urllib3")


def configure(level: str, stream: IO[str] | None = None) -> None:
    """Set up logging of the worker's main process, to standard error unless told otherwise."""
    stream = stream or sys.stderr
    handler = logging.StreamHandler(stream)
    handler.setFormatter(_formatter(terminal=stream.isatty()))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    configure_process(level)


def configure_process(level: str) -> None:
    """Set up structlog in any process: its events become standard log records with fields."""
    logging.getLogger().setLevel(level)
    for name in _DISCREET:
        logging.getLogger(name).setLevel(max(logging.WARNING, logging.getLevelNamesMapping()[level]))
    logging.getLogger("livekit.agents").setLevel(level)
    stamina.instrumentation.set_on_retry_hooks([])  # its own lines quote the exception
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.stdlib.filter_by_level,
            structlog.stdlib.render_to_log_kwargs,
        ],
        wrapper_class=structlog.stdlib.BoundLogger,
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=False,
    )


def _formatter(*, terminal: bool) -> logging.Formatter:
    before: list[Any] = [
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.ExtraAdder(),
        _time_of_record,
    ]
    if terminal:
        renderer: list[Any] = [_printable, structlog.dev.ConsoleRenderer(exception_formatter=_traceback)]
    else:
        renderer = [structlog.processors.format_exc_info, structlog.processors.JSONRenderer(default=str)]
    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=before,
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *renderer],
    )


def _printable(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Identities and names come from participants."""
    shown = ((printable(key), printable(v) if isinstance(v, str) else v) for key, v in event.items())
    return dict(shown)


def _traceback(stream: TextIO, exc_info: ExcInfo) -> None:
    """Without the values of variables: these are what people say."""
    written = StringIO()
    structlog.dev.plain_traceback(written, exc_info)
    stream.write("\n".join(map(printable, written.getvalue().splitlines())))


def _time_of_record(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    record: logging.LogRecord = event["_record"]
    moment = datetime.fromtimestamp(record.created, UTC)
    event.pop("message", None)  # the event again, added on the way from a job process
    return {"timestamp": moment.isoformat(timespec="milliseconds").replace("+00:00", "Z"), **event}
