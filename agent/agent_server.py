"""What LiveKit knows of a worker: which rooms it takes, how full it is, what runs a room's recorder."""

import math
import sys
from functools import partial
from time import monotonic

from livekit.agents import AgentServer, JobExecutorType, JobRequest, WorkerPermissions

from agent import job
from agent.capacity import Capacity
from agent.duty import Duty
from agent.holding import worker_name
from agent.metrics import Metrics
from agent.settings import Settings

# LiveKit sends a worker no rooms above this load, and drops the room without a word when all are above it.
TARGET_LOAD = 0.7
PRELOAD = "agent.preload"  # module with all that jobs need


def build_server(
    settings: Settings,
    accepted: dict[str, float],
    duty: Duty,
    metrics: Metrics,
    capacity: Capacity,
) -> AgentServer:
    """The worker: hidden, data only, warm for the next room.

    `accepted` is told when a room was accepted (`monotonic` seconds, by room sid).
    """
    server = AgentServer(
        ws_url=settings.livekit_url,
        api_key=settings.livekit_api_key,
        api_secret=settings.livekit_api_secret.get_secret_value(),
        permissions=WorkerPermissions(
            hidden=True,
            can_publish=False,
            can_subscribe=True,
            can_publish_data=True,
            can_update_metadata=False,
        ),
        load_fnc=partial(_load, capacity, duty),
        max_retry=sys.maxsize,  # after its 16 attempts, two minutes, the framework would never register again
        load_threshold=math.inf,  # ours to say no would lose the room; `_load` tells LiveKit to ask another
        job_executor_type=JobExecutorType(settings.recorder_jobs),
        num_idle_processes=settings.recorder_idle_processes,
        setup_fnc=job.set_up_process,
        preload_modules=[PRELOAD],
        host=settings.recorder_health_host,
        port=settings.recorder_health_port,
        log_level=settings.recorder_log_level.replace("WARNING", "WARN"),
    )
    server.rtc_session(
        job.record,
        agent_name=_name_for(settings),
        on_request=partial(_accept_coaching_rooms, server, settings.recorder_room_prefix, accepted, metrics),
        on_session_end=job.finish,
    )
    return server


def _name_for(settings: Settings) -> str:
    """By which LiveKit dispatches us: every room to who has none, and to a name of its own what names it."""
    names = {"automatic": "", "named": settings.recorder_agent_name, "own": worker_name()}
    return names[settings.recorder_dispatch]


async def _accept_coaching_rooms(
    server: AgentServer, prefix: str, accepted: dict[str, float], metrics: Metrics, request: JobRequest
) -> None:
    """Answers at once: LiveKit waits no more than 3 s, and a room that nobody answered for is lost."""
    if any(running.job.room.sid == request.room.sid for running in server.active_jobs):
        await request.reject(terminate=True)  # named in the room as in a token: one of us is enough
    elif request.room.name.startswith(prefix):
        accepted[request.room.sid] = monotonic()
        metrics.recorders_started.labels("livekit").inc()
        await request.accept()
    else:
        await request.reject(terminate=False)


def _load(capacity: Capacity, duty: Duty, server: AgentServer) -> float:
    """Share of the rooms that we take; above LiveKit's target only when no more are to come."""
    rooms = len(server.active_jobs)
    if not (duty.takes_rooms and capacity.takes(rooms, others_ready=duty.others_ready)):
        return 1.0
    return TARGET_LOAD * rooms / max(capacity.rooms, rooms + 1)
