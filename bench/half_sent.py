"""What half-sent requests cost the web part, and whoever else asks it meanwhile.

Run it with `python -m bench.half_sent`. The web part is served on the loopback interface, as `python -m web`
serves it. A user lists their sessions, one request after the other: first alone, then while each kind of
attack stands. The table tells the user's times and the server's memory; exit code 1 if more than promised.
"""

import asyncio
import resource
import secrets
import signal
import socket
import sys
import tempfile
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated
from uuid import UUID, uuid4

import httpx2
import psutil
import typer

from agent.local.postgres import run_postgres
from agent.local.processes import LOOPBACK, ChildProcess, free_port, port_answers
from bench.command import Markdown, help_of, new_app, print_table, run, say
from bench.histories.asking import token
from bench.quantiles import share_of
from db.pool import migrate

PROJECT = Path(__file__).parents[1]
PROMISED_MB, PROMISED_MS = 20.0, 100.0
START_SECONDS = 60.0
BODY = 4 * 1024 * 1024
BODIES = 60
app = new_app()


@dataclass(frozen=True)
class Measured:
    """The user's times in milliseconds, the server's resident memory in MB as it was at most."""

    name: str
    median: float
    p95: float
    mb: float


@app.command(help=help_of(__doc__))
def half_sent(
    connections: Annotated[int, typer.Option(min=1, max=2000, help="Half-sent heads")] = 1000,
    requests: Annotated[int, typer.Option(min=20, max=1000, help="The user's requests in each row")] = 200,
    markdown: Markdown = False,
) -> None:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # ends our children too, as Ctrl-C does
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(4096, most), most))
    with tempfile.TemporaryDirectory(prefix="bench-half-sent-") as folder, run_postgres(Path(folder)) as dsn:
        asyncio.run(migrate(dsn))
        rows = _served(dsn, Path(folder), connections, requests)
    alone = rows[0]
    headings = ["while", "the user's p50 / p95 in ms", "server's memory in MB", "more than alone"]
    lines = [
        [row.name, f"{row.median:.1f} / {row.p95:.1f}", f"{row.mb:.0f}", f"{row.mb - alone.mb:+.1f}"]
        for row in rows
    ]
    print_table(headings, lines, markdown=markdown)
    broken = [r.name for r in rows if r.mb - alone.mb > PROMISED_MB or r.p95 > PROMISED_MS]
    if broken:
        say(f"more than {PROMISED_MB:g} MB or {PROMISED_MS:g} ms while: {', '.join(broken)}")
        sys.exit(1)


def _served(dsn: str, folder: Path, connections: int, requests: int) -> list[Measured]:
    secret, port = secrets.token_urlsafe(48), free_port()
    server = ChildProcess(
        "the web part",
        [sys.executable, "-m", "web"],
        folder / "web.log",
        environment={"DATABASE_URL": dsn, "WEB_JWT_SECRET": secret, "WEB_PORT": str(port)},
        directory=PROJECT,
    )
    try:
        server.wait_until(lambda: port_answers(port), timeout=START_SECONDS)
        user = _User(port, secret, requests)
        user.asks("warming up")
        attacks: list[tuple[str, Callable[[], list[bytes]]]] = [
            ("alone", list),
            (f"{connections} half-sent heads", lambda: [_half_a_head()] * connections),
            (f"{BODIES} unfinished bodies of nobody", lambda: [_body("")] * BODIES),
            (f"{BODIES} whole bodies of nobody", lambda: [_body("") + b"]}"] * BODIES),
            (f"{BODIES} unfinished bodies of one user", lambda: [_body(token(UUID(int=1), secret))] * BODIES),
        ]
        return [user.asks(name, attack()) for name, attack in attacks]
    finally:
        server.stop()


@dataclass
class _User:
    """Somebody who lists their sessions, while an attack stands."""

    port: int
    secret: str
    requests: int

    def asks(self, name: str, attack: Sequence[bytes] = ()) -> Measured:
        say(name)
        server = next(c for c in psutil.Process().children(recursive=True) if _listens(c, self.port))
        _forget_peak(server)
        with ExitStack() as closing, self._client() as client:
            half_open = [closing.enter_context(_sent(self.port, what)) for what in attack]
            times = [_milliseconds(client) for _ in range(self.requests)]
            say(f"  {len(half_open)} connections, {times[-1]:.1f} ms, {_peak(server):.0f} MB")
            return Measured(name, share_of(times, 0.5), share_of(times, 0.95), _peak(server))

    def _client(self) -> httpx2.Client:
        headers = {"authorization": f"Bearer {token(uuid4(), self.secret)}"}
        return httpx2.Client(base_url=f"http://{LOOPBACK}:{self.port}", headers=headers, timeout=30)


def _milliseconds(client: httpx2.Client) -> float:
    answer = client.get("/api/sessions")
    answer.raise_for_status()
    return answer.elapsed.total_seconds() * 1000


def _sent(port: int, what: bytes) -> socket.socket:
    """A connection on which as much was sent as the server took in a moment."""
    connection = socket.create_connection((LOOPBACK, port), timeout=0.02)
    with suppress(OSError):  # it takes no more, or has closed
        connection.sendall(what)
    return connection


def _half_a_head() -> bytes:
    return b"GET /api/sessions HTTP/1.1\r\nHost: x\r\nX-Slow: " + b"x" * 8000


def _body(signed: str) -> bytes:
    head = f"POST /api/sessions/save HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {signed}\r\n"
    return f"{head}Content-Type: application/json\r\nContent-Length: {BODY}\r\n\r\n".encode() + (
        b'{"transcript": [' + b" " * (BODY - 18)
    )


def _listens(process: psutil.Process, port: int) -> bool:
    return any(
        c.status == psutil.CONN_LISTEN and c.laddr.port == port for c in process.net_connections("tcp")
    )


def _forget_peak(process: psutil.Process) -> None:
    Path(f"/proc/{process.pid}/clear_refs").write_text("5")  # proc(5): resets VmHWM


def _peak(process: psutil.Process) -> float:
    """Its largest resident memory since it was forgotten, in MB."""
    status = Path(f"/proc/{process.pid}/status").read_text()
    (line,) = (line for line in status.splitlines() if line.startswith("VmHWM:"))
    return int(line.split()[1]) * 1024 / 1e6


if __name__ == "__main__":
    run(app)
