"""The process behind `bad_line`: forwards datagrams between clients and a server, and obeys a pipe.

Standard library only: it starts in a moment.
"""

import heapq
import random
import selectors
import socket
import sys
import time
from collections import defaultdict
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from itertools import count
from multiprocessing.connection import Connection
from typing import Any

from agent.demo.line_conditions import GOOD, Conditions, Count, Direction, Pipe, Stream, rtp_of

Address = tuple[str, int]
BUFFER = 4 << 20
MAX_DATAGRAM = 1 << 16


class Relay:
    """Each client gets a socket of its own towards the server, which so tells them apart."""

    def __init__(self, listen: Address, forward: Address, seed: int, commands: Connection) -> None:
        self._luck = random.Random(seed)  # noqa: S311  the same losses each time
        self._forward = forward
        self._commands = commands
        self._clients: dict[Address, socket.socket] = {}
        self._streams: dict[tuple[Direction, Address, int], Stream] = {}
        self._pipes: defaultdict[tuple[Direction, Address], Pipe] = defaultdict(Pipe)
        self._conditions: dict[tuple[Direction, int | None], Conditions] = {}
        self._leaving: list[tuple[float, int, Callable[[], Any]]] = []
        self._numbers = count()
        self._selector = selectors.DefaultSelector()
        self._listener = _socket(listen)
        self._selector.register(self._listener, selectors.EVENT_READ, self._from_clients)
        self._selector.register(commands, selectors.EVENT_READ, self._obey)
        commands.send("ready")

    def run(self) -> None:
        while True:
            wait = max(self._leaving[0][0] - time.monotonic(), 0) if self._leaving else None
            for key, _ in self._selector.select(wait):
                key.data()
            while self._leaving and self._leaving[0][0] <= time.monotonic():
                heapq.heappop(self._leaving)[2]()

    def _from_clients(self) -> None:
        while received := _receive(self._listener):
            datagram, client = received
            upstream = self._clients.get(client) or self._new_client(client)
            self._pass_on("to_sfu", client, datagram, partial(_send, upstream, datagram, self._forward))

    def _new_client(self, client: Address) -> socket.socket:
        upstream = self._clients[client] = _socket((self._forward[0], 0))

        def from_sfu() -> None:
            while received := _receive(upstream):
                datagram = received[0]
                self._pass_on("to_client", client, datagram, partial(_send, self._listener, datagram, client))

        self._selector.register(upstream, selectors.EVENT_READ, from_sfu)
        return upstream

    def _pass_on(
        self, direction: Direction, client: Address, datagram: bytes, send: Callable[[], Any]
    ) -> None:
        now = time.monotonic()
        conditions = self._conditions.get((direction, None), GOOD)
        pipe = self._pipes[direction, client]
        packet = rtp_of(datagram)
        if packet is None:
            leaves_at = pipe.leaves_at(now, conditions, 0, self._luck)
        else:
            conditions = self._conditions.get((direction, packet.ssrc), conditions)
            key = (direction, client, packet.ssrc)
            stream = self._streams.get(key)
            if stream is None:
                name = f"{client[0]}:{client[1]}"
                stream = Stream(Count(direction, name, packet.ssrc, packet.kind), self._luck)
                self._streams[key] = stream
            lost = stream.is_lost(conditions)
            leaves_at = None if lost else pipe.leaves_at(now, conditions, packet.size, self._luck)
            stream.note(packet, leaves_at)
        if leaves_at is None:
            return
        if leaves_at <= now:
            send()
        else:
            heapq.heappush(self._leaving, (leaves_at, next(self._numbers), send))

    def _obey(self) -> None:
        """One command of `BadLine`."""
        match self._commands.recv():
            case "set", direction, ssrc, conditions:
                self._conditions[direction, ssrc] = conditions
                self._commands.send(None)
            case "drop", direction, ssrc, packets:
                for (its_direction, _, its_ssrc), stream in self._streams.items():
                    if (its_direction, its_ssrc) == (direction, ssrc):
                        stream.to_drop += packets
                self._commands.send(None)
            case ("counts",):
                self._commands.send([stream.count for stream in self._streams.values()])


def _socket(address: Address) -> socket.socket:
    made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    for option in (socket.SO_RCVBUF, socket.SO_SNDBUF):
        made.setsockopt(socket.SOL_SOCKET, option, BUFFER)
    made.bind(address)
    made.setblocking(False)
    return made


def _receive(source: socket.socket) -> tuple[bytes, Address] | None:
    try:
        return source.recvfrom(MAX_DATAGRAM)
    except (BlockingIOError, ConnectionRefusedError):
        return None


def _send(through: socket.socket, datagram: bytes, to: Address) -> None:
    try:
        through.sendto(datagram, to)
    except OSError:  # whoever it was for has gone
        return


def main() -> None:
    """Relay until the other end of the pipe is closed."""
    host, port, server_host, server_port, seed, pipe = sys.argv[1:]
    with suppress(EOFError):
        Relay((host, int(port)), (server_host, int(server_port)), int(seed), Connection(int(pipe))).run()


if __name__ == "__main__":
    main()
