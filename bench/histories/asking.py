"""Ask the web part as people do, one request after the other, and time each answer."""

import random
import time
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Literal
from urllib.parse import urlencode
from uuid import UUID, uuid4

import asyncpg
import httpx2
import jwt

from agent.session.errors import RecorderError
from bench.histories.filling import COUNSELOR, RARE, READER, sql, vocabulary
from bench.quantiles import share_of
from web.cursor import cursor_after

PROMISED_MS = 50.0
_PLACES = 300  # pages to begin at, and sessions to look at
_WARM_UP = 20
_LISTED = '"sessions":['


@dataclass(frozen=True)
class Question:
    """`ask` makes a path; what comes back must contain `tells`. `promised`: its time is."""

    name: str
    ask: Callable[[random.Random], str]
    tells: str
    by: Literal["owner", "counselor", "staff"] = "owner"
    promised: bool = True


@dataclass(frozen=True)
class Timed:
    """Milliseconds from request to the answer's last byte, on the machine of the server."""

    question: Question
    sessions: int
    median: float
    p95: float
    bytes: int  # of the longest answer

    @property
    def ok(self) -> bool:
        return self.p95 < PROMISED_MS or not self.question.promised


def token(user_id: UUID, secret: str, **claims: str) -> str:
    exp = datetime.now(UTC) + timedelta(days=1)
    return jwt.encode({"sub": str(user_id), "exp": exp, **claims}, secret, algorithm="HS256")


async def questions(dsn: str) -> list[Question]:
    """What a user, their counselor and a member of staff ask, each time about something else."""
    connection = await asyncpg.connect(dsn)
    try:
        rows = await connection.fetch(sql["sample_sessions"], READER, _PLACES)
    finally:
        await connection.close()
    ids = [str(row["session_id"]) for row in rows]
    cursors = [cursor_after(dict(row)) for row in rows]
    words = vocabulary()
    often, now_and_then = words[:20], words[300:2000]

    def listed(**query: str) -> str:
        return f"/api/sessions?{urlencode(query)}"

    some, page = "/api/sessions/", "/session-history"
    own = [
        Question("list: newest", lambda _: listed(), '"next":"'),
        Question("list: from somewhere on", lambda r: listed(cursor=r.choice(cursors)), _LISTED),
        Question("list: 100 at a time", lambda _: listed(limit="100"), '"next":'),
        Question("list: voice", lambda _: listed(mode="voice", status="completed"), '"voice"'),
        Question("list: in progress", lambda _: listed(status="in_progress"), '"in_progress"'),
        Question("list: the page", lambda _: page, "Session history"),
        Question("search: a rare word", lambda _: listed(q=RARE), f'"text":"{RARE}"'),
        Question("search: said now and then", lambda r: listed(q=r.choice(now_and_then)), _LISTED),
        Question("search: said in all sessions", lambda r: listed(q=r.choice(often)), '"text":"'),
        Question("search: two words", lambda r: listed(q=" ".join(r.sample(words[20:300], 2))), _LISTED),
        Question("search: nobody said it", lambda _: listed(q="quixotry"), '"sessions":[]'),
        Question("search: the page", lambda r: f"{page}?q={r.choice(now_and_then)}", "Session history"),
        Question("detail", lambda r: some + r.choice(ids), '"transcript":[{'),
        Question("detail: the page, with charts", lambda r: f"{page}/{r.choice(ids)}", "Conversation"),
        Question("words as WebVTT", lambda r: f"{some}{r.choice(ids)}/transcript.vtt", "WEBVTT"),
    ]
    of_staff = [
        Question("staff, list: newest", lambda _: listed(), '"next":"'),
        Question("staff, search: a rare word", lambda _: listed(q=RARE), RARE),
        Question("staff, search: said in all", lambda r: listed(q=r.choice(often)), _LISTED),
    ]
    attended = [
        replace(question, name=f"counselor, {question.name}", by="counselor")
        for question in own
        if question.name.startswith(("list:", "search:", "detail"))
    ]
    return [*own, *attended, *(replace(question, by="staff", promised=False) for question in of_staff)]


async def ask_all(
    url: str, secret: str, asked: Sequence[Question], sessions: int, requests: int, say: Callable[[str], None]
) -> list[Timed]:
    """So many requests of each kind; raises `RecorderError` where an answer is not what was asked for."""
    found = []
    tokens = {
        "owner": token(READER, secret),
        "counselor": token(COUNSELOR, secret, role="counselor"),
        "staff": token(uuid4(), secret, role="admin"),
    }
    async with AsyncExitStack() as clients:
        by = {who: await clients.enter_async_context(_client(url, signed)) for who, signed in tokens.items()}
        for question in asked:
            found.append(await _ask(by[question.by], question, sessions, requests))
            say(f"  {question.name}: p50 {found[-1].median:.1f} ms, p95 {found[-1].p95:.1f} ms")
    return found


def _client(url: str, signed: str) -> httpx2.AsyncClient:
    return httpx2.AsyncClient(
        base_url=url,
        timeout=30,
        headers={"authorization": f"Bearer {signed}"},
        cookies={"coaching_session": signed},
    )


async def _ask(client: httpx2.AsyncClient, question: Question, sessions: int, requests: int) -> Timed:
    chance = random.Random(3)
    took, longest = [], 0
    for number in range(_WARM_UP + requests):
        path = question.ask(chance)
        began = time.perf_counter()
        answer = await client.get(path)
        seconds = time.perf_counter() - began
        if answer.status_code != 200 or question.tells not in answer.text:
            raise RecorderError(f"{question.name}: answer {answer.status_code} is not what was asked for")
        if number >= _WARM_UP:
            took.append(seconds * 1000)
            longest = max(longest, len(answer.content))
    return Timed(question, sessions, share_of(took, 0.5), share_of(took, 0.95), longest)
