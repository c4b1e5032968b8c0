"""What a demo asks of LiveKit's server: a token, a room with metadata, and who is there."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

from livekit import api


@dataclass(frozen=True)
class Stay:
    """One stay of one participant, as LiveKit lists it: the recorder's included, which no client sees.

    `active`: their media is connected; who is not yet may never be.
    """

    identity: str
    participant_sid: str
    joined_at: datetime
    active: bool


def token(
    api_key: str,
    api_secret: str,
    room_name: str,
    identity: str,
    name: str,
    metadata: str,
    attributes: dict[str, str],
    kind: Literal["standard", "agent"] = "standard",
) -> str:
    """Admission of one participant to one room."""
    return (
        api.AccessToken(api_key, api_secret)
        .with_identity(identity)
        .with_name(name)
        .with_metadata(metadata)
        .with_attributes(attributes)
        .with_kind(kind)
        .with_grants(api.VideoGrants(room_join=True, room=room_name))
        .to_jwt()
    )


async def create_room(
    url: str, api_key: str, api_secret: str, room_name: str, metadata: Mapping[str, Any]
) -> str:
    """Create the room and return its sid; LiveKit dispatches a recorder to it at this moment."""
    async with api.LiveKitAPI(url, api_key, api_secret) as livekit:
        request = api.CreateRoomRequest(name=room_name, metadata=json.dumps(metadata))
        return (await livekit.room.create_room(request)).sid


async def who_is_there(url: str, api_key: str, api_secret: str, room_name: str) -> list[Stay]:
    """The stays that LiveKit knows of right now."""
    async with api.LiveKitAPI(url, api_key, api_secret) as livekit:
        listed = await livekit.room.list_participants(api.ListParticipantsRequest(room=room_name))
        return [
            Stay(
                one.identity,
                one.sid,
                datetime.fromtimestamp(one.joined_at_ms / 1000, UTC),
                one.state == api.ParticipantInfo.State.ACTIVE,
            )
            for one in listed.participants
        ]
