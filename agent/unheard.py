"""Data that the recorder does not listen to: one log line for each sender and topic, never the payload.

It may be of no concern to the recorder, as a chat is. It may also be somebody's own words under a wrong name.
"""

import structlog

from agent.printable import printable

log = structlog.stdlib.get_logger()

MOST_LINES = 100  # of one room
_LONGEST_TOPIC = 64
_OF_LIVEKIT = ("lk.", "lk-")  # its own components' topics
_TEXT_STREAM = "lk.transcription"  # words under this topic are heard, but as a text stream


class Unheard:
    """What was noted of one room."""

    def __init__(self) -> None:
        self._noted: set[tuple[str | None, str]] = set()

    def note(self, identity: str | None, topic: str) -> None:
        """Somebody (None: nobody knows who) sent data on a topic that the recorder does not know."""
        if topic.startswith(_OF_LIVEKIT) and topic != _TEXT_STREAM:
            return
        shown = printable(topic[:_LONGEST_TOPIC])
        if (identity, shown) in self._noted or len(self._noted) >= MOST_LINES:
            return
        self._noted.add((identity, shown))
        log.info("message_ignored", identity=identity, topic=shown, reason=_reason(topic))


def _reason(topic: str) -> str:
    if topic == _TEXT_STREAM:
        return "not a text stream"
    return "unknown topic" if topic else "no topic"
