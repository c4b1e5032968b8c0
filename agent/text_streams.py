"""Transcripts that come as LiveKit text streams on `lk.transcription`, as LiveKit's own agents send them."""

import structlog
from livekit import rtc

from agent.messages import MAX_BYTES, Messages, TranscriptMessage, refused
from agent.presence import is_recorded
from agent.recorder import now
from agent.session.errors import MessageRefused, what_failed
from agent.tasks import Tasks

log = structlog.stdlib.get_logger()

TOPIC = "lk.transcription"
_FINAL = "lk.transcription_final"  # attribute: "false" marks an interim result, which its final form follows


class TextStreams:
    """Reads each stream to its end; what it says is its sender's utterance."""

    def __init__(self, room: rtc.Room, messages: Messages) -> None:
        self._room = room
        self._messages = messages
        self._reading = Tasks()
        room.register_text_stream_handler(TOPIC, self._opened)

    async def close(self) -> None:
        """Stop reading."""
        self._room.unregister_text_stream_handler(TOPIC)
        await self._reading.close(grace=0)

    def _opened(self, reader: rtc.TextStreamReader, identity: str) -> None:
        self._reading.start(self._read(reader, identity))

    async def _read(self, reader: rtc.TextStreamReader, identity: str) -> None:
        sender = self._room.remote_participants.get(identity)
        began = now()
        try:
            text = await _whole(reader)
            if sender is None or not is_recorded(sender):
                raise MessageRefused("sender unknown")
            if (reader.info.attributes or {}).get(_FINAL) != "false" and text.strip():
                self._messages.take_transcript(sender, TranscriptMessage(text=text, timestamp=began), now())
        except MessageRefused as refusal:
            refused(TOPIC, sender, refusal)
        except Exception as error:
            log.warning("text_stream_broke_off", identity=identity, **what_failed(error))
        finally:
            reader.close()


async def _whole(reader: rtc.TextStreamReader) -> str:
    """The stream's text. Raises `MessageRefused` as soon as it is too large."""
    text = ""
    async for chunk in reader:
        text += chunk
        if len(text.encode("utf-8", "replace")) > MAX_BYTES:
            raise MessageRefused("larger than 16 KiB")
    return text
