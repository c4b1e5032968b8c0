"""Audio -> voice activity -> utterance -> Whisper -> words with times.

Each audio track is listened to on its own; utterances are recognised side by side. What cannot be recognised
becomes a noted gap.
"""

import asyncio
from datetime import datetime

import structlog
from livekit import rtc

from agent.ear import Ear
from agent.handlers import listen
from agent.messages import Messages
from agent.presence import is_recorded, published_already
from agent.recognition import Recogniser
from agent.recorder import Recorder, now
from agent.session.errors import TranscriptionUnavailable, what_failed
from agent.session.events import GapNoted, UtteranceHeard, milliseconds
from agent.session.rooms import storable
from agent.tasks import Tasks
from agent.utterances import Samples, Utterance

log = structlog.stdlib.get_logger()

LATE_SECONDS = 1.0  # whoever was there for longer before their first frame reached us may have said something


class Transcription:
    """Listens to everybody in a room."""

    def __init__(
        self,
        room: rtc.Room,
        recorder: Recorder,
        messages: Messages,
        recogniser: Recogniser,
        *,
        concurrency: int,
    ) -> None:
        self._room = room
        self._recorder = recorder
        self._messages = messages
        self._recogniser = recogniser
        self._slots = asyncio.Semaphore(concurrency)
        self._ears: dict[str, Ear] = {}  # by track_sid
        self._listening = Tasks()
        self._recognising = Tasks()
        self._since: datetime | None = None
        listen(room, "track_published", self._subscribe)
        listen(room, "track_subscribed", lambda track, _publication, who: self._subscribed(track, who))
        listen(room, "track_unsubscribed", lambda track, _publication, _who: self._unsubscribed(track))

    def subscribe_to_those_already_here(self) -> None:
        """Tracks published before we came get no `track_published`."""
        self._since = now()
        for publication, participant in published_already(self._room):
            self._subscribe(publication, participant)

    async def finish_words_in_flight(self, within: float) -> None:
        """Wait, so many seconds at most, until everything said up to now is recognised or given up."""
        for ear in self._ears.values():
            ear.cut_now()
        await self._recognising.those_of_now(within)

    async def close(self, grace: float) -> None:
        """Stop listening, and wait up to `grace` seconds for the last words."""
        await asyncio.gather(*(ear.close() for ear in self._ears.values()))
        await self._listening.finished()
        await self._recognising.close(grace)

    def _subscribe(self, publication: rtc.RemoteTrackPublication, who: rtc.RemoteParticipant) -> None:
        if publication.kind == rtc.TrackKind.KIND_AUDIO and is_recorded(who):
            publication.set_subscribed(True)

    def _subscribed(self, track: rtc.Track, who: rtc.RemoteParticipant) -> None:
        if isinstance(track, rtc.RemoteAudioTrack):
            self._listening.start(self._listen(track, storable(who.identity), who.joined_at))

    def _unsubscribed(self, track: rtc.Track | None) -> None:
        if track is not None and (ear := self._ears.get(track.sid)):
            self._listening.start(ear.close())

    async def _listen(self, track: rtc.RemoteAudioTrack, identity: str, joined_at: datetime | None) -> None:
        began = now()
        ear = self._ears[track.sid] = Ear(track, lambda utterance: self._heard(ear, identity, utterance))
        try:
            await ear.listen(lambda: self._note_what_came_before(identity, joined_at))
        except Exception as error:
            log.error("listening_failed", identity=identity, **what_failed(error))
            self._gap(identity, ear.frames_until or began, now(), "recorder_error")
        finally:
            self._ears.pop(track.sid, None)

    def _heard(self, ear: Ear, identity: str, utterance: Utterance) -> None:
        if identity not in self._messages.own_words:
            begin, end = ear.time_of(utterance.begin), ear.time_of(utterance.end)
            self._recognising.start(self._recognise(identity, begin, end, utterance.samples))

    async def _recognise(self, identity: str, begin: datetime, end: datetime, samples: Samples) -> None:
        try:
            async with self._slots:
                words = await self._recogniser.words(samples)
        except TranscriptionUnavailable:
            self._gap(identity, begin, end, "transcription_unavailable")
        except asyncio.CancelledError:
            self._gap(identity, begin, end, "transcription_unavailable")
            raise
        else:
            log.info("utterance_recognised", identity=identity, seconds=(end - begin).total_seconds())
            if words.text:
                self._recorder.record(
                    UtteranceHeard(
                        at=begin,
                        end=end,
                        identity=identity,
                        text=storable(words.text),
                        source="whisper",
                        language=words.language,
                    )
                )

    def _note_what_came_before(self, identity: str, joined_at: datetime | None) -> None:
        """Whoever joined well before us may have spoken unheard."""
        here_before_us = joined_at is not None and self._since is not None and joined_at < self._since
        if here_before_us and joined_at and (now() - joined_at).total_seconds() > LATE_SECONDS:
            self._gap(identity, milliseconds(joined_at), now(), "recorder_joined_late")

    def _gap(self, identity: str, begin: datetime, end: datetime, reason: str) -> None:
        self._recorder.record(
            GapNoted(at=begin, until=end, what="transcript", reason=reason, identity=identity)
        )
