"""What the recorder tells a room."""

import json
from uuid import UUID

from livekit import rtc

SESSION_SAVED = "session.saved"
SESSION_SAVE_FAILED = "session.save_failed"
SAVED_MESSAGE = "Session saved to your history"
SAVE_FAILED_MESSAGE = "Failed to save session"


async def announce(room: rtc.Room, topic: str, session_id: UUID, message: str) -> None:
    """Tell everybody in the room what became of their session."""
    if not room.isconnected():
        return
    payload = json.dumps({"session_id": str(session_id), "message": message})
    await room.local_participant.publish_data(payload, reliable=True, topic=topic)
