"""The server's connections: one that brings no request in time is closed, and there are never too many.

uvicorn itself waits for a request for ever, and drops none. Half a request costs its sender nothing and us
memory and a file descriptor; so the connections that wait for one are few, and the oldest goes first.
"""

import asyncio
import resource
from typing import Any

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol

HEAD_SECONDS = 10.0  # for the request line and all headers; also between requests
REST_SECONDS = 30.0  # for the rest of a body that is answered already, and is read and forgotten
FLUSH_SECONDS = 60.0  # for a client to read on, and what is left of an answer
LARGEST_HEAD = 32 * 1024  # bytes: the longest token three times over
MOST_WAITING = 400  # connections without a request under way
MOST = 2000  # connections in all, live pages included; more are answered with 503
_SPARE_FILES = 64  # for the database, LiveKit and files


class Waiting:
    """Connections without a request under way, by address; beyond the most, an address's oldest is cut."""

    def __init__(self) -> None:
        self._count = 0
        self._by_address: dict[str, dict[TimelyProtocol, None]] = {}

    def add(self, connection: "TimelyProtocol") -> None:
        self._by_address.setdefault(connection.address, {})[connection] = None
        self._count += 1
        if self._count > MOST_WAITING:
            busiest = max(self._by_address.values(), key=len)
            next(iter(busiest)).cut_off()

    def remove(self, connection: "TimelyProtocol") -> None:
        here = self._by_address.get(connection.address, {})
        if connection not in here:
            return
        del here[connection]
        self._count -= 1
        if not here:
            del self._by_address[connection.address]


class TimelyProtocol(H11Protocol):
    """HTTP/1.1 with time limits."""

    waiting: Waiting
    address = ""
    _timer: asyncio.TimerHandle | None = None
    _stalled: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.address = self.client[0] if self.client else ""
        self._await_request()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self._await_request()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._await_request()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_waiting()
        self._reads_on()
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        super().pause_writing()
        self._stalled = self.loop.call_later(FLUSH_SECONDS, self.cut_off)

    def resume_writing(self) -> None:
        self._reads_on()
        super().resume_writing()

    def cut_off(self) -> None:
        """Now, whatever it was to send or to be sent."""
        self._stop_waiting()
        self.transport.abort()

    def _await_request(self) -> None:
        """Start the clock when no request is under way, stop it when one is."""
        if self.cycle is not None and not self.cycle.response_complete:
            self._stop_waiting()
        elif self._timer is None and not self.transport.is_closing():
            seconds = HEAD_SECONDS if self.cycle is None or not self.cycle.more_body else REST_SECONDS
            self._timer = self.loop.call_later(seconds, self._too_late)
            self.waiting.add(self)

    def _stop_waiting(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
            self.waiting.remove(self)

    def _reads_on(self) -> None:
        if self._stalled is not None:
            self._stalled.cancel()
            self._stalled = None

    def _too_late(self) -> None:
        self.transport.close()  # once the client has read what is on its way to it
        self._timer = self.loop.call_later(FLUSH_SECONDS, self.cut_off)


def server_config(app: ASGIApp, **more: Any) -> uvicorn.Config:
    """How the web part is served, here and in tests."""
    protocol = type("Protocol", (TimelyProtocol,), {"waiting": Waiting()})
    return uvicorn.Config(
        app,
        http=protocol,
        ws="none",
        h11_max_incomplete_event_size=LARGEST_HEAD,
        limit_concurrency=_most_connections(),
        log_config=None,
        access_log=False,
        server_header=False,
        **more,
    )


def _most_connections() -> int:
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return MOST if files == resource.RLIM_INFINITY else min(MOST, max(files - _SPARE_FILES, 64))
