"""A bad line on purpose: a UDP relay between clients and a LiveKit server that drops, delays and counts.

In user space and without privileges, so it works anywhere, and what it did is known exactly:

    with run_bad_sfu(folder) as (sfu, line):                      # sfu: as `run_sfu` gives it
        line.set(TO_SFU, Conditions(loss=0.05))                   # 5 % of what clients send
        line.set(TO_SFU, Conditions(kbps=300))                    # a thin uplink: token bucket, small queue
        line.set(TO_CLIENT, Conditions(loss=0.1), ssrc=4711)      # one stream only
        line.drop_next(TO_SFU, 4711, packets=50)                  # a burst: exactly these
        line.counts(TO_SFU)                                       # per SSRC: passed, dropped, jitter

The server listens on 127.0.0.1 but advertises 127.0.0.2, where the relay is, and as an ICE lite agent it
looks for no way of its own: all media pass here. Linux only: elsewhere 127.0.0.2 has to be added to the
loopback interface first.
"""

import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from agent.demo.line_conditions import GOOD, Conditions, Count, Direction
from agent.local.processes import LOOPBACK, free_port
from agent.local.sfu import Sfu, run_sfu
from agent.session.errors import ServiceNotStarted

__all__ = ["GOOD", "TO_CLIENT", "TO_SFU", "BadLine", "Conditions", "Count", "run_bad_sfu"]

TO_SFU: Direction = "to_sfu"
TO_CLIENT: Direction = "to_client"
ADVERTISED = "127.0.0.2"
ANSWER_SECONDS = 30.0


class BadLine:
    """The running relay. What is set holds from the next packet on, when the call returns."""

    def __init__(self, commands: Connection) -> None:
        self._commands = commands

    def set(self, direction: Direction, conditions: Conditions, *, ssrc: int | None = None) -> None:
        """The conditions of a direction, or, with `ssrc`, of one stream, for which they replace those."""
        self._ask("set", direction, ssrc, conditions)

    def drop_next(self, direction: Direction, ssrc: int, packets: int) -> None:
        """Drop the next so many packets of a stream that has been seen."""
        self._ask("drop", direction, ssrc, packets)

    def counts(self, direction: Direction | None = None) -> list[Count]:
        """What became of each stream so far, in the order of their first packets."""
        self._commands.send(("counts",))
        counts: list[Count] = self.answer()
        return [count for count in counts if direction in (None, count.direction)]

    def answer(self) -> Any:
        """What the relay says next; `ServiceNotStarted` when it is silent."""
        if not self._commands.poll(ANSWER_SECONDS):
            raise ServiceNotStarted("the relay does not answer")
        return self._commands.recv()

    def _ask(self, *command: object) -> None:
        self._commands.send(command)
        self.answer()


@contextmanager
def run_bad_sfu(
    data_dir: Path,
    *,
    port: int | None = None,
    overrides: Mapping[str, Any] | None = None,
    seed: int = 1,
) -> Iterator[tuple[Sfu, BadLine]]:
    """A LiveKit server behind a bad line, which is good until told otherwise; `seed` makes its luck."""
    media_port = free_port(kind=socket.SOCK_DGRAM)
    rtc = {"node_ip": ADVERTISED, "use_ice_lite": True, "udp_port": media_port}
    overrides = {**(overrides or {}), "rtc": {**rtc, **(overrides or {}).get("rtc", {})}}
    with (
        _relaying((ADVERTISED, media_port), (LOOPBACK, media_port), seed) as line,
        run_sfu(data_dir, port=port, overrides=overrides) as sfu,
    ):
        yield sfu, line


@contextmanager
def _relaying(listen: tuple[str, int], forward: tuple[str, int], seed: int) -> Iterator[BadLine]:
    """A process of its own: a busy event loop of the clients must not delay packets."""
    ours, its = Pipe()
    arguments = [*listen, *forward, seed, its.fileno()]
    process = subprocess.Popen(
        [sys.executable, "-m", "agent.demo.relay", *map(str, arguments)],
        pass_fds=[its.fileno()],
        cwd=Path(__file__).parents[2],
        start_new_session=True,  # Ctrl-C is for us; when we end, however, the pipe does, and so the relay
    )
    its.close()
    line = BadLine(ours)
    try:
        line.answer()
        yield line
    finally:
        ours.close()
        process.kill()
        process.wait()
