"""Transcripts that come as LiveKit text streams on `lk.transcription`, as LiveKit's own agents send them."""

import asyncio
import json
from collections import Counter
from datetime import datetime

import structlog
from livekit import rtc

from agent.clock import now
from agent.handlers import listen
from agent.message_forms import MAX_BYTES, too_long
from agent.messages import Messages
from agent.presence import is_agent, is_recorded
from agent.segments import Segment, Segments
from agent.session.errors import MessageRefused, what_failed
from agent.session.rooms import storable
from agent.tasks import Tasks

log = structlog.stdlib.get_logger()

TOPIC = "lk.transcription"
_FINAL = "lk.transcription_final"  # "false" marks an interim result; a delta stream's trailer makes it "true"
_SEGMENT = "lk.segment_id"
_TRACK = "lk.transcribed_track_id"
_LAST_WORDS_SECONDS = 5.0  # an agent may send someone's final words so long after they have left
_MAX_WAITING = 100  # utterances whose speaker is not visible yet
_MAX_OPEN = 16  # streams of one sender at once
_MAX_OPEN_IN_ALL = 100  # each makes every event of the room dearer
_SILENT_SECONDS = 120.0  # a stream that goes on later has broken off
_LONGEST_SECONDS = 900.0


class TextStreams:
    """Reads each stream; what a segment says in the end is an utterance of whose track it names."""

    def __init__(self, room: rtc.Room, messages: Messages) -> None:
        self._room = room
        self._messages = messages
        self._segments = Segments(self._complete)
        self._open: Counter[str] = Counter()  # by identity
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
        if self._messages.senders.known(identity) is None:
            self._messages.on_unseen()
        attributes = reader.info.attributes or {}
        if self._open[identity] >= _MAX_OPEN or self._open.total() >= _MAX_OPEN_IN_ALL:
            reader.close()
            self._refused(identity, MessageRefused("too many streams at once", words=True, once=True))
            return
        self._open[identity] += 1
        segment_id = attributes.get(_SEGMENT) or reader.info.stream_id
        segment = self._segments.opened(identity, segment_id, now(), attributes.get(_TRACK))
        self._reading.start(self._read(reader, segment))

    async def _read(self, reader: rtc.TextStreamReader, segment: Segment) -> None:
        pieces: list[str] = []
        try:
            async with asyncio.timeout(_LONGEST_SECONDS):
                until = await self._pieces(reader, segment, pieces)
            text = plain("".join(pieces))
            if too_long(text):
                raise MessageRefused("text larger than 16 KiB", words=True)
        except MessageRefused as refusal:
            self._segments.dropped(segment)
            self._refused(segment.identity, refusal, since=segment.began)
        except asyncio.CancelledError:
            self._broke_off(segment, pieces)
            raise
        except Exception as error:
            log.warning("text_stream_broke_off", identity=segment.identity, **what_failed(error))
            self._broke_off(segment, pieces)
        else:
            attributes = reader.info.attributes or {}
            final = attributes.get(_FINAL) != "false"
            if final or _SEGMENT in attributes:
                self._segments.ended(segment, text, until, final=final)
            else:
                self._segments.dropped(segment)  # an interim result, and nobody can tell what replaces it
        finally:
            reader.close()
            self._open[segment.identity] -= 1
            self._open += Counter()  # without those at zero

    async def _pieces(self, reader: rtc.TextStreamReader, segment: Segment, pieces: list[str]) -> datetime:
        """Read to the end; when the last piece came. Raises TimeoutError for one without an end."""
        size, until, sender = 0, segment.began, self._messages.senders.known(segment.identity)
        agent = sender is not None and is_agent(sender)
        chunks = aiter(reader)
        while True:
            try:
                chunk = await asyncio.wait_for(anext(chunks), _SILENT_SECONDS)
            except StopAsyncIteration:
                return until
            until, more = now(), len(chunk.encode("utf-8", "replace"))
            size += more
            if size > MAX_BYTES:
                raise MessageRefused("larger than 256 KiB", words=True)
            self._messages.budgets.data(segment.identity, more, agent=agent)
            pieces.append(chunk)

    def _broke_off(self, segment: Segment, pieces: list[str]) -> None:
        text = plain("".join(pieces))
        if too_long(text):
            self._segments.dropped(segment)
            self._refused(
                segment.identity, MessageRefused("text larger than 16 KiB", words=True), segment.began
            )
        else:
            self._segments.broke_off(segment, text, now())

    def _complete(self, segment: Segment) -> None:
        self._attributing.start(self._attribute(segment))

    async def _attribute(self, segment: Segment) -> None:
        """Whoever publishes nothing can send before they are visible: wait for them."""
        sender = self._messages.senders.known(segment.identity)
        if sender is None and len(self._attributing) <= _MAX_WAITING:  # we are one of them
            sender = await self._messages.senders.find(segment.identity)
        try:
            if sender is None or not is_recorded(sender):
                raise MessageRefused("sender unknown", once=True)
            own_words = self._messages.own_words
            speaker = own_words.speaker(sender, segment.track_sid)
            own_words.take(
                sender,
                segment.text,
                segment.began,
                segment.until,
                speaker=speaker,
                segment=segment.segment_id,
            )
        except MessageRefused as refusal:
            self._refused(segment.identity, refusal, since=segment.began)

    def _refused(self, identity: str, refusal: MessageRefused, since: datetime | None = None) -> None:
        self._messages.refusals.note(
            TOPIC, self._messages.senders.known(identity), refusal, now(), since=since
        )

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
