"""Handlers of room events that keep what they were given to themselves."""

from collections.abc import Callable
from functools import wraps
from typing import ParamSpec

import structlog
from livekit import rtc

from agent.session.errors import what_failed

log = structlog.stdlib.get_logger()

P = ParamSpec("P")


def listen(room: rtc.Room, event: rtc.room.EventTypes, handler: Callable[P, None]) -> None:
    """Handle an event of a room; should the handler fail, log where, and nothing of the event.

    Left to itself the SDK would log the whole event, and events carry what people say.
    """
    room.on(event, discreet(event, handler))


def discreet(event: str, handler: Callable[P, None]) -> Callable[P, None]:
    """The handler, which logs where it failed and harms nobody else."""

    @wraps(handler)
    def handle(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            handler(*args, **kwargs)
        except Exception as error:
            log.error("handler_failed", handled=event, **what_failed(error))

    return handle
