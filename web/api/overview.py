"""`GET /api/admin/overview`: what staff want to know while sessions are being recorded."""

from datetime import datetime
from typing import Any
from uuid import UUID

from fastapi import APIRouter, Request
from pydantic import BaseModel, Field

from db.overview import overview
from web.api.told import Mode
from web.auth import Staff
from web.problems import responses

router = APIRouter(tags=["operations"])


class UnderWay(BaseModel):
    """A session in progress, and who records it."""

    session_id: UUID
    room_name: str
    mode: Mode
    counselor_category: str | None
    start_time: datetime
    present: int = Field(description="How many people are there, as the recorder saw it")
    recorded: bool = Field(description="Whether a recorder holds its lease now")
    worker: str | None = Field(
        description="Whose recorder holds, or last held, the lease", examples=["web-1"]
    )
    epoch: int = Field(description="Turns of recorders so far; 0: only a client told of it", examples=[1])
    lease_expires_at: datetime | None = Field(description="When the lease ends, or ended, unless renewed")


class OnDisk(BaseModel):
    """Files that wait on a worker's disk."""

    files: int = 0
    bytes: int = 0


class Waiting(BaseModel):
    """`waiting` goes where it belongs by itself; `rejected` was refused and waits for an operator."""

    waiting: OnDisk = OnDisk()
    rejected: OnDisk = OnDisk()


class WorkerSeen(BaseModel):
    """A worker, as of its last sign of life (one a second)."""

    worker: str
    alive: bool
    ready: bool = Field(description="Whether it takes further rooms")
    draining: bool = Field(description="Whether it was told to stop, and lets its sessions end")
    rooms: int
    max_rooms: int | None
    seen_at: datetime
    reconciled_at: datetime | None = Field(
        description="When it last compared all rooms with all recorders; one worker does at a time"
    )
    trouble: str | None = Field(
        description="What kept it from comparing", examples=["ConnectionRefusedError"]
    )
    spool: Waiting = Field(description="Events for the database")
    audio: Waiting = Field(description="Speech for its words")


class RoomGivenUp(BaseModel):
    """A room in which recorders were started in vain."""

    room_sid: str
    attempts: int
    at: datetime


class Overview(BaseModel):
    """Everything as of one moment, newest session first."""

    sessions: list[UnderWay]
    more: bool = Field(description="Whether there are more sessions than these")
    workers: list[WorkerSeen]
    rooms_given_up: list[RoomGivenUp]
    reconciled_at: datetime | None = Field(description="When any worker last compared rooms with recorders")
    at: datetime


@router.get("/api/admin/overview", responses=responses(401, 403))
async def show(request: Request, viewer: Staff) -> Overview:
    """Sessions in progress with recorder and lease; workers with spool and reconciler."""
    found = await overview(request.app.state.pool, viewer)
    workers = [_worker(row) for row in found.workers]
    return Overview(
        sessions=[UnderWay(**row) for row in found.sessions],
        more=found.more,
        workers=workers,
        rooms_given_up=[RoomGivenUp(**row) for row in found.given_up],
        reconciled_at=max((w.reconciled_at for w in workers if w.reconciled_at), default=None),
        at=found.at,
    )


def _worker(row: dict[str, Any]) -> WorkerSeen:
    told = row["report"]
    disk = told.get("disk", {})
    return WorkerSeen(
        **{name: row[name] for name in ("worker", "alive", "ready", "rooms", "seen_at", "reconciled_at")},
        draining=told.get("draining", False),
        max_rooms=told.get("max_rooms"),
        trouble=told.get("trouble"),
        spool=disk.get("spool", {}),
        audio=disk.get("audio", {}),
    )
