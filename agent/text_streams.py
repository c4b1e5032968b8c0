"""Transcripts that come as LiveKit text streams on `lk.transcription`, as LiveKit's own agents send them."""

import asyncio
import json

import structlog
from livekit import rtc

from agent.clock import now
from agent.handlers import listen
from agent.message_forms import MAX_BYTES
from agent.messages import Messages, refused
from agent.presence import is_recorded
from agent.segments import Segment, Segments
from agent.session.errors import MessageRefused, what_failed
from agent.session.rooms import storable
from agent.tasks import Tasks

log = structlog.stdlib.get_logger()

TOPIC = "lk.transcription"
_FINAL = "lk.transcription_final"  # "false" marks an interim result; a delta stream's trailer makes it "true"
_SEGMENT = "lk.segment_id"
_LAST_WORDS_SECONDS = 5.0  # an agent may send someone's final words so long after they have left
_MAX_WAITING = 100  # utterances whose speaker is not visible yet


class TextStreams:
    """Reads each stream; what a segment says in the end is an utterance of the stream's sender."""

    def __init__(self, room: rtc.Room, messages: Messages) -> None:
        self._room = room
        self._messages = messages
        self._segments = Segments(self._complete)
        self._reading = Tasks()
        self._farewells = Tasks()
        self._attributing = Tasks()
        room.register_text_stream_handler(TOPIC, self._opened)
        listen(room, "participant_disconnected", self._left)

    async def close(self) -> None:
        """Stop reading; what was read counts."""
        self._room.unregister_text_stream_handler(TOPIC)
        await self._reading.close(grace=0)
        await self._farewells.close(grace=0)
        self._segments.no_more()
        self._messages.senders.close()
        await self._attributing.finished()

    def _opened(self, reader: rtc.TextStreamReader, identity: str) -> None:
        segment_id = (reader.info.attributes or {}).get(_SEGMENT) or reader.info.stream_id
        segment = self._segments.opened(identity, segment_id, now())
        self._reading.start(self._read(reader, segment))

    async def _read(self, reader: rtc.TextStreamReader, segment: Segment) -> None:
        text, until = "", segment.began
        try:
            async for chunk in reader:
                text, until = text + chunk, now()
                if len(text.encode("utf-8", "replace")) > MAX_BYTES:
                    raise MessageRefused("larger than 16 KiB")
        except MessageRefused as refusal:
            self._segments.dropped(segment)
            refused(TOPIC, self._messages.senders.known(segment.identity), refusal)
        except asyncio.CancelledError:
            self._segments.broke_off(segment, plain(text), until)
            raise
        except Exception as error:
            log.warning("text_stream_broke_off", identity=segment.identity, **what_failed(error))
            self._segments.broke_off(segment, plain(text), until)
        else:
            attributes = reader.info.attributes or {}
            final = attributes.get(_FINAL) != "false"
            if final or _SEGMENT in attributes:
                self._segments.ended(segment, plain(text), until, final=final)
            else:
                self._segments.dropped(segment)  # an interim result, and nobody can tell what replaces it
        finally:
            reader.close()

    def _complete(self, segment: Segment) -> None:
        self._attributing.start(self._attribute(segment))

    async def _attribute(self, segment: Segment) -> None:
        """Whoever publishes nothing can send before they are visible: wait for them."""
        sender = self._messages.senders.known(segment.identity)
        if sender is None and len(self._attributing) <= _MAX_WAITING:  # we are one of them
            sender = await self._messages.senders.find(segment.identity)
        if sender is None or not is_recorded(sender):
            refused(TOPIC, sender, MessageRefused("sender unknown"))
        else:
            self._messages.take_own_words(sender, segment.text, segment.began, segment.until)

    def _left(self, participant: rtc.RemoteParticipant) -> None:
        self._farewells.start(self._settle_later(participant.identity))

    async def _settle_later(self, identity: str) -> None:
        await asyncio.sleep(_LAST_WORDS_SECONDS)
        if identity not in self._room.remote_participants:
            self._segments.no_more_from(identity)


def plain(text: str) -> str:
    """What the stream says. An agent may send each piece as a line of JSON, with its place in the audio."""
    lines = [line for line in text.split("\n") if line.strip()]
    pieces = [_piece(line) for line in lines]
    said = "".join(piece for piece in pieces if piece is not None) if None not in pieces and pieces else text
    return storable(said).strip()


def _piece(line: str) -> str | None:
    """The text of a TimedString in JSON; None when the line is none."""
    if not line.startswith('{"'):
        return None
    try:
        timed = json.loads(line)
    except (ValueError, RecursionError):
        return None
    known = timed.keys() <= _TIMED_STRING
    said = timed.get("text")
    return said if known and isinstance(said, str) else None


# livekit.protocol.agent_pb.agent_session.TimedString
_TIMED_STRING = {"text", "start_time", "end_time", "confidence", "start_time_offset", "speaker_id"}
