"""A wire between recorders and PostgreSQL that can hold a statement, or the answer to it.

A Unix socket of its own before the server's. It passes bytes, and follows only as much of the protocol as it
takes to know which statement is about to be executed, and whose (the kernel tells the client's process id).
"""

import asyncio
import os
import socket
import struct
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from urllib.parse import parse_qs, quote, urlsplit

from bench.disasters.frames import Frames

SOCKET = ".s.PGSQL.5432"
Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Held:
    """A statement that is to be stopped once: before it reaches the server, or before its answer returns."""

    def __init__(self, statement: str, *, answer: bool, whose: Callable[[int], bool]) -> None:
        self.statement = statement
        self.answer = answer
        self.whose = whose
        self.pid: int | None = None  # of the client, once it is stopped
        self._reached = asyncio.Event()
        self._decided = asyncio.Event()
        self._dropped = False

    async def reached(self, within: float = 60.0) -> int:
        """Wait until it is stopped; the client's process id."""
        async with asyncio.timeout(within):
            await self._reached.wait()
        assert self.pid is not None
        return self.pid

    def stop(self, pid: int) -> None:
        self.pid = pid
        self._reached.set()

    async def passes(self) -> bool:
        """Wait for what becomes of it; False: it is never passed on."""
        await self._decided.wait()
        return not self._dropped

    def let_go(self) -> None:
        """Pass it on, and all that comes after."""
        self._decided.set()

    def drop(self) -> None:
        """Never pass it on: the connection breaks here."""
        self._dropped = True
        self._decided.set()


class Wire:
    """Made by `Wire.to`; recorders connect to `dsn`."""

    def __init__(self, folder: Path, dsn: str) -> None:
        address = urlsplit(dsn)
        (server_folder,) = parse_qs(address.query)["host"]
        self._server_socket = f"{server_folder}/{SOCKET}"
        self._held: Held | None = None
        self._connections: set[asyncio.Task[None]] = set()
        self.socket = folder / SOCKET
        self.dsn = f"postgresql://{address.username}@/postgres?host={quote(str(folder))}&port=5432"

    @classmethod
    @asynccontextmanager
    async def to(cls, dsn: str, folder: Path) -> AsyncIterator["Wire"]:
        folder.mkdir(parents=True, exist_ok=True)
        wire = cls(folder, dsn)
        server = await asyncio.start_unix_server(wire._accept, wire.socket)
        try:
            yield wire
        finally:
            server.close()
            for task in wire._connections:
                task.cancel()
            await asyncio.gather(*wire._connections, return_exceptions=True)

    @contextmanager
    def holding(
        self, statement: str, *, answer: bool = False, whose: Callable[[int], bool] = lambda _: True
    ) -> Iterator[Held]:
        """Hold the next execution of this statement (or the COMMIT after it: see `Frames`), once.

        `answer`: the server executes it, but nobody learns so.
        """
        self._held = held = Held(statement, answer=answer, whose=whose)
        try:
            yield held
        finally:
            held.let_go()
            self._held = None

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Not a coroutine: asyncio would report its cancellation as a failure."""
        task = asyncio.get_running_loop().create_task(self._connect((reader, writer)))
        self._connections.add(task)
        task.add_done_callback(self._connections.discard)

    async def _connect(self, client: Streams) -> None:
        try:
            server = await asyncio.open_unix_connection(self._server_socket)
        except OSError:
            client[1].close()  # the server is away
        else:
            await _Connection(self, client, server).run()

    def to_hold(self, executed: set[str], pid: int) -> Held | None:
        """What is to be held of these statements of this process, if it is not held already."""
        held = self._held
        if held and held.pid is None and held.statement in executed and held.whose(pid):
            return held
        return None


class _Connection:
    """One client's connection."""

    def __init__(self, wire: Wire, client: Streams, server: Streams) -> None:
        self._wire = wire
        self._client, self._server = client, server
        self._muted: Held | None = None
        peer: socket.socket = client[1].get_extra_info("socket")
        credentials = peer.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
        self._pid: int = struct.unpack("3i", credentials)[0]

    async def run(self) -> None:
        """Until either side is gone."""
        both = [asyncio.create_task(self._to_server()), asyncio.create_task(self._to_client())]
        try:
            await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in both:
                task.cancel()
            await asyncio.gather(*both, return_exceptions=True)
            for _, writer in (self._client, self._server):
                writer.close()

    async def _to_server(self) -> None:
        frames, (reader, _), (_, writer) = Frames(), self._client, self._server
        with suppress(OSError):
            while data := await reader.read(65536):
                for frame, executed in frames.taken_from(data):
                    if held := self._wire.to_hold(executed, self._pid):
                        if held.answer:
                            held.pid, self._muted = self._pid, held
                        else:
                            held.stop(self._pid)
                            if not await held.passes():
                                return
                    writer.write(frame)
                await writer.drain()

    async def _to_client(self) -> None:
        (reader, _), (_, writer) = self._server, self._client
        with suppress(OSError):
            while data := await reader.read(65536):
                if muted := self._muted:
                    muted.stop(self._pid)
                    if not await muted.passes():
                        return
                    self._muted = None
                writer.write(data)
                await writer.drain()


def in_group(group: int) -> Callable[[int], bool]:
    """Whether a process is of this process group: a worker's jobs are of its own."""

    def whose(pid: int) -> bool:
        with suppress(ProcessLookupError):
            return os.getpgid(pid) == group
        return False

    return whose
