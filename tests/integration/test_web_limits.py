"""Slow, half-sent and too large requests: who sends them is cut off, and nobody else notices."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID, uuid4

import psutil
import pytest

from tests.integration.web_client import Web, finished, token
from web import body_reading, connections

SAM = UUID("5b1e0a3c-93a1-4f0a-8c51-0e9f2c3d4e5f")
SAVE = "/api/sessions/save"
MIB = 1024 * 1024
HALF_A_HEAD = b"GET /session-history HTTP/1.1\r\nHost: x\r\nX-Slow: "


class Line:
    """A connection, byte by byte."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    async def send(self, *parts: bytes) -> None:
        self.writer.write(b"".join(parts))
        await self.writer.drain()

    async def answer(self) -> tuple[int, str]:
        """Status and text of the next answer."""
        async with asyncio.timeout(60):
            head = await self.reader.readuntil(b"\r\n\r\n")
            lines = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:-2])
            body = await self.reader.readexactly(int(lines[b"content-length"]))
        return int(head.split(b" ")[1]), body.decode()

    async def ends(self) -> bytes:
        """What comes before the server closes it."""
        async with asyncio.timeout(60):
            try:
                return await self.reader.read()
            except ConnectionError:
                return b""


@asynccontextmanager
async def line(web: Web) -> AsyncIterator[Line]:
    reader, writer = await asyncio.open_connection("127.0.0.1", urlsplit(web.url).port)
    try:
        yield Line(reader, writer)
    finally:
        writer.transport.abort()


def head(length: int, *, user: UUID | None = SAM, path: str = SAVE, more: str = "") -> bytes:
    authorization = f"Authorization: Bearer {token(user)}\r\n" if user else ""
    return (
        f"POST {path} HTTP/1.1\r\nHost: x\r\n{authorization}{more}"
        f"Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n"
    ).encode()


@pytest.mark.parametrize("sent", [b"", b"GET", HALF_A_HEAD])
async def test_who_does_not_finish_a_head_is_cut_off(
    web: Web, monkeypatch: pytest.MonkeyPatch, sent: bytes
) -> None:
    monkeypatch.setattr(connections, "HEAD_SECONDS", 0.3)
    async with line(web) as slow:
        await slow.send(sent)
        assert await slow.ends() == b""


async def test_who_sends_a_head_byte_by_byte_is_cut_off_too(
    web: Web, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "HEAD_SECONDS", 0.5)
    async with line(web) as slow:
        ended = asyncio.create_task(slow.ends())
        await slow.send(HALF_A_HEAD)
        while not ended.done():
            slow.writer.write(b"x")
            await asyncio.wait([ended], timeout=0.05)
        assert await ended == b""


async def test_a_live_page_is_not_cut_off(web: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "HEAD_SECONDS", 0.3)
    reader = await web.reader(SAM)
    async with reader.stream("GET", "/session-history/changes") as told, asyncio.timeout(60):
        lines = told.aiter_lines()
        assert (await anext(lines)).startswith("retry")
        changed = asyncio.ensure_future(until_changed(lines))
        while not changed.done():
            now = datetime.now(UTC).isoformat()
            just_now: dict[str, Any] = {
                "start_time": now,
                "end_time": now,
                "duration_seconds": 0,
                "transcript": [],
            }
            await web.user(SAM).post(SAVE, json=finished(**just_now))
            await asyncio.wait([changed], timeout=0.5)
        assert await changed


async def until_changed(lines: AsyncIterator[str]) -> bool:
    async for line in lines:
        if line == "event: changed":
            return True
    return False


async def test_of_too_many_half_sent_requests_the_oldest_go_and_others_are_served(
    web: Web, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "MOST_WAITING", 40)
    port, beyond = urlsplit(web.url).port, 20
    half_sent = [
        await asyncio.open_connection("127.0.0.1", port) for _ in range(connections.MOST_WAITING + beyond)
    ]
    try:
        for _, writer in half_sent:
            writer.write(HALF_A_HEAD)
        assert (await web.user(SAM).post(SAVE, json=finished())).status_code == 201
        oldest = [Line(reader, writer).ends() for reader, writer in half_sent[:beyond]]
        assert set(await asyncio.gather(*oldest)) == {b""}
        newest = Line(*half_sent[-1])
        await newest.send(b"\r\n\r\n")
        assert (await newest.answer())[0] == 401
    finally:
        for _, writer in half_sent:
            writer.transport.abort()


async def test_a_head_ends_somewhere(web: Web) -> None:
    async with line(web) as endless:
        await endless.send(HALF_A_HEAD, b"x" * 3 * connections.LARGEST_HEAD)
        assert b" 200 " not in await endless.ends()


@pytest.mark.parametrize("user", [None, "eve"])
async def test_nobodys_body_is_not_read(web: Web, user: str | None) -> None:
    more = "Authorization: Bearer garbage\r\n" if user else ""
    async with line(web) as nobody:
        await nobody.send(head(4 * MIB, user=None, more=more))
        status, text = await nobody.answer()
        assert status == 401
        assert json.loads(text)["status"] == 401


async def test_who_wants_to_know_before_sending_is_told(web: Web) -> None:
    expecting = "Expect: 100-continue\r\n"
    async with line(web) as nobody:
        await nobody.send(head(4 * MIB, user=None, more=expecting))
        assert (await nobody.answer())[0] == 401
    async with line(web) as somebody:
        await somebody.send(head(2, more=expecting))
        async with asyncio.timeout(60):
            assert b" 100 " in await somebody.reader.readuntil(b"\r\n\r\n")
        await somebody.send(b"{}")
        assert (await somebody.answer())[0] == 422


@pytest.mark.parametrize(("user", "length", "status"), [(None, 4 * MIB, 401), (SAM, 6 * MIB, 413)])
async def test_who_writes_a_refused_body_to_its_end_is_answered_and_goes_on(
    web: Web, user: UUID | None, length: int, status: int
) -> None:
    async with line(web) as patient:
        await patient.send(head(length, user=user), b"x" * length)
        assert (await patient.answer())[0] == status
        await patient.send(head(2), b"{}")
        assert (await patient.answer())[0] == 422


async def test_a_refused_body_that_does_not_end_is_cut_off(web: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "REST_SECONDS", 0.3)
    async with line(web) as slow:
        await slow.send(head(4 * MIB, user=None), b"x" * 1000)
        assert (await slow.answer())[0] == 401
        assert await slow.ends() == b""


async def test_a_body_that_does_not_come_is_408(web: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(body_reading, "SECONDS", 0.3)
    async with line(web) as slow:
        await slow.send(head(4 * MIB), b'{"transcript": [')
        status, text = await slow.answer()
        assert status == 408
        assert "did not come" in json.loads(text)["detail"]
        assert await slow.ends() == b""


async def test_a_body_without_a_length_ends_as_others_do(web: Web) -> None:
    chunk = b"10000\r\n" + b"x" * 0x10000 + b"\r\n"
    chunked = head(0).replace(b"Content-Length: 0", b"Transfer-Encoding: chunked")
    async with line(web) as endless:
        await endless.send(chunked, chunk * 70)
        assert (await endless.answer())[0] == 413


async def test_a_form_is_small(web: Web) -> None:
    async with line(web) as form:
        await form.send(head(20_000, user=None, path="/sign-in", more=f"Origin: {web.url}\r\n"))
        assert (await form.answer())[0] == 413


async def test_one_users_unfinished_bodies_do_not_fill_the_memory(web: Web) -> None:
    async with AsyncExitStack() as closing:
        opened = [await closing.enter_async_context(line(web)) for _ in range(8)]
        for one in opened:
            await one.send(head(4 * MIB), b" " * (4 * MIB - 1))
        answers = [asyncio.create_task(one.answer()) for one in opened]
        done, _ = await asyncio.wait(answers, timeout=60, return_when=asyncio.FIRST_COMPLETED)
        assert {(await answer)[0] for answer in done} == {429}
        assert (await web.user(uuid4()).post(SAVE, json=finished())).status_code == 201
        for answer in answers:
            answer.cancel()
    for _ in range(400):  # until the server has noticed that they are gone
        if (await web.user(SAM).post(SAVE, json=finished())).status_code == 201:
            return
        await asyncio.sleep(0.05)
    raise AssertionError("their memory was not given back")


async def test_all_unfinished_bodies_together_do_not_fill_the_memory(
    web: Web, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(body_reading, "MOST_OF_ALL", 2 * MIB)
    async with line(web) as large:
        await large.send(head(4 * MIB), b" " * (4 * MIB))
        status, text = await large.answer()
        assert status == 503
        assert "Try again" in json.loads(text)["detail"]
    assert (await web.user(uuid4()).post(SAVE, json=finished())).status_code == 201


async def test_who_asks_and_does_not_read_is_cut_off(web: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "FLUSH_SECONDS", 0.3)
    words = [{"speaker": "user", "text": "x" * 9000, "timestamp": "2026-03-01T10:00:12Z"}] * 400
    told = finished(transcript=words)
    assert (await web.user(SAM).post(SAVE, json=told)).status_code == 201
    with socket.socket() as small:
        small.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        small.setblocking(False)
        loop = asyncio.get_running_loop()
        await loop.sock_connect(small, ("127.0.0.1", urlsplit(web.url).port))
        asking = head(0, path=f"/api/sessions/{told['session_id']}").replace(b"POST", b"GET", 1)
        await loop.sock_sendall(small, asking)
        got = len(await loop.sock_recv(small, 100))
        await until_closed_by_the_server(small.getsockname()[1])
        with suppress(ConnectionError):
            while data := await loop.sock_recv(small, 65536):
                got += len(data)
        assert got < 3 * MIB


async def until_closed_by_the_server(port: int) -> None:
    """The server is in this process."""
    for _ in range(400):
        if not any(c.raddr and c.raddr.port == port for c in psutil.Process().net_connections("tcp")):
            return
        await asyncio.sleep(0.05)
    raise AssertionError("still open")
