"""What LiveKit's server API tells of rooms, and the admission that it gives a hidden recorder."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

import aiohttp
from livekit import api
from livekit.protocol.models import ParticipantInfo, Room

from agent.session.rooms import role_of, storable, user_id_of
from agent.settings import Settings
from db.visits import Visit

ADMISSION = timedelta(hours=12)  # longer than any session; the SDK renews it while connected
ANSWER_SECONDS = 10.0
OTHER_WORKER = "another worker without agent_name answers here: set RECORDER_DISPATCH=own"
_EGRESS, _AGENT = ParticipantInfo.Kind.EGRESS, ParticipantInfo.Kind.AGENT


def livekit_api(settings: Settings) -> api.LiveKitAPI:
    """A client of the server API; close it, or use it as a context."""
    return api.LiveKitAPI(
        settings.livekit_url,
        settings.livekit_api_key,
        settings.livekit_api_secret.get_secret_value(),
        timeout=aiohttp.ClientTimeout(total=ANSWER_SECONDS),
    )


async def coaching_rooms(livekit: api.LiveKitAPI, prefix: str) -> list[Room]:
    """Every room that is to be recorded and exists."""
    listed = await livekit.room.list_rooms(api.ListRoomsRequest())
    return [room for room in listed.rooms if room.name.startswith(prefix)]


@dataclass(frozen=True, slots=True)
class Occupancy:
    """When the first who is there now joined (None: nobody is), and whether hidden and other agents are."""

    since: datetime | None
    witnessed: bool
    agents: bool = False


async def who_is_in(livekit: api.LiveKitAPI, room_name: str) -> Occupancy:
    """Who is in a room now; nobody, when it is gone."""
    try:
        listed = await livekit.room.list_participants(api.ListParticipantsRequest(room=room_name))
    except api.TwirpError as error:
        if error.code == api.TwirpErrorCode.NOT_FOUND:
            return Occupancy(None, witnessed=False)
        raise
    visible = [p for p in listed.participants if _is_recorded(p)]
    since = min(map(_joined_at, visible), default=None)
    agents = any(p.kind == _AGENT for p in visible)
    return Occupancy(since, any(p.permission.hidden for p in listed.participants), agents)


def visit_of(told: ParticipantInfo, namespace: UUID, *, student: UUID | None = None) -> Visit | None:
    """The stay of somebody as LiveKit tells of it; None for who is not recorded."""
    if not _is_recorded(told):
        return None
    attributes = dict(told.attributes)
    return Visit(
        participant_sid=told.sid,
        identity=storable(told.identity),
        name=storable(told.name),
        role=role_of(told.identity, attributes, told.metadata, is_agent=told.kind == _AGENT),
        is_agent=told.kind == _AGENT,
        user_id=user_id_of(told.identity, attributes, namespace, student=student),
        joined_at=_joined_at(told),
    )


def _is_recorded(told: ParticipantInfo) -> bool:
    """As `agent.presence` sees it."""
    return not told.permission.hidden and told.kind != _EGRESS


def _joined_at(told: ParticipantInfo) -> datetime:
    return datetime.fromtimestamp(told.joined_at_ms / 1000 or told.joined_at, UTC)


def admission(settings: Settings, room_name: str, identity: str) -> str:
    """The token of a hidden recorder, as LiveKit makes it for the jobs that it dispatches."""
    grants = api.VideoGrants(
        room_join=True,
        room=room_name,
        agent=True,
        hidden=True,
        can_publish=False,
        can_subscribe=True,
        can_publish_data=True,
        can_update_own_metadata=False,
    )
    return (
        api.AccessToken(settings.livekit_api_key, settings.livekit_api_secret.get_secret_value())
        .with_identity(identity)
        .with_kind("agent")
        .with_grants(grants)
        .with_ttl(ADMISSION)
        .to_jwt()
    )
