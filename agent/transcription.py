"""Audio -> voice activity -> utterance -> Whisper -> words with times.

Each audio track is listened to on its own; utterances are recognised side by side (`agent.recognising`).
"""

import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

import structlog
from livekit import rtc

from agent.clock import now
from agent.ear import Ear
from agent.handlers import listen
from agent.hearing import Hearing
from agent.kept_audio import KeptAudio
from agent.own_words import OwnWords
from agent.presence import is_recorded, published_already
from agent.receiving import Receiving
from agent.recognising import Recognising
from agent.recorder import Recorder
from agent.session.errors import what_failed
from agent.session.events import GapNoted, Played, milliseconds
from agent.session.rooms import storable
from agent.speaking import Speaking
from agent.spoken import Spoken
from agent.tasks import Tasks, at_most
from agent.utterances import Utterance

log = structlog.stdlib.get_logger()

AGAIN_SECONDS = 1.0  # before a track is listened to again after that failed
CLOSE_SECONDS = 5.0  # for the streams to end


class Transcription:
    """Listens to everybody in a room."""

    def __init__(
        self,
        room: rtc.Room,
        recorder: Recorder,
        own_words: OwnWords,
        receiving: Receiving,
        hearing: Hearing,
        recognising: Recognising,
        kept: KeptAudio,
        *,
        delay_of: Callable[[str], timedelta],
    ) -> None:
        self._room = room
        self._recorder = recorder
        self._own_words = own_words
        self._receiving = receiving
        self._hearing = hearing
        self._recognising = recognising
        self._kept = kept
        self._delay_of = delay_of  # how late a track is heard, by track sid
        self._ears: dict[rtc.Track, Ear | None] = {}  # of every track that is listened to
        self._listening = Tasks()
        self._begun = asyncio.Event()
        self._closing = False
        listen(room, "track_published", self._subscribe)
        listen(room, "reconnected", self.subscribe_to_those_already_here)
        receiving.follow(received=self._received, lost=lambda track, _publication, _who: self._lost(track))

    def subscribe_to_those_already_here(self) -> None:
        """Tracks published before we came, or came back, get no `track_published`."""
        self._begun.set()
        for publication, participant in published_already(self._room):
            self._subscribe(publication, participant)

    async def finish_words_in_flight(self, within: float) -> None:
        """Wait, so many seconds at most, until everything said up to now is recognised or given up."""
        for ear in self._listening_ears():
            ear.cut_now()
        self._own_words.held.decide()
        await self._recognising.those_of_now(within)

    async def close(self, grace: float) -> None:
        """Stop listening, and wait up to `grace` seconds for the last words."""
        self._closing = True
        ears = self._listening_ears()
        await asyncio.gather(*(at_most(CLOSE_SECONDS, "closing an ear", ear.close()) for ear in ears))
        await at_most(CLOSE_SECONDS, "listening", self._listening.finished())
        self._own_words.held.decide(for_good=True)
        await self._recognising.finish(grace)

    def _listening_ears(self) -> list[Ear]:
        return [ear for ear in self._ears.values() if ear is not None]

    def _subscribe(self, publication: rtc.RemoteTrackPublication, who: rtc.RemoteParticipant) -> None:
        is_audio = publication.kind == rtc.TrackKind.KIND_AUDIO
        if is_audio and is_recorded(who) and self._receiving.wanted(publication):
            publication.set_subscribed(True)

    def _received(
        self, track: rtc.Track, publication: rtc.RemoteTrackPublication, who: rtc.RemoteParticipant
    ) -> None:
        if isinstance(track, rtc.RemoteAudioTrack):
            self._ears[track] = None
            self._listening.start(self._listen(track, publication, storable(who.identity)))

    def _lost(self, track: rtc.Track) -> None:
        if ear := self._ears.pop(track, None):
            self._listening.start(ear.close())

    async def _listen(
        self, track: rtc.RemoteAudioTrack, publication: rtc.RemoteTrackPublication, identity: str
    ) -> None:
        """Listen while we are subscribed; should it fail, say what was missed and listen again."""
        await self._begun.wait()  # until it is known since when each microphone is on
        while track in self._ears and not self._closing:
            missed_since = await self._listen_once(track, publication, identity)
            if missed_since is None:
                return
            await asyncio.sleep(AGAIN_SECONDS)
            self._gap(identity, missed_since, now(), "recorder_error")

    async def _listen_once(
        self, track: rtc.RemoteAudioTrack, publication: rtc.RemoteTrackPublication, identity: str
    ) -> datetime | None:
        """Listen to the end of a track; since when nothing was heard if that failed before."""
        began = now()
        played = _played_by(publication)
        speaking = Speaking(self._kept, identity, played)
        ear = self._ears[track] = Ear(
            track, speaking, lambda utterance, path: self._heard(ear, publication, identity, utterance, path)
        )
        try:
            await ear.listen(lambda: self._hearing.heard(publication, ear))
        except Exception as error:
            log.error("listening_failed", identity=identity, **what_failed(error))
            return ear.frames_until or began
        finally:
            if track in self._ears:
                self._ears[track] = None
        self._hearing.deaf(publication, ear)
        return None

    def _heard(
        self,
        ear: Ear,
        publication: rtc.RemoteTrackPublication,
        identity: str,
        utterance: Utterance,
        path: Path | None,
    ) -> None:
        played, delay = _played_by(publication), self._delay_of(publication.sid)
        begin, end = (milliseconds(ear.time_of(x) - delay) for x in (utterance.begin, utterance.end))
        spoken = Spoken(identity, begin, end, played)
        self._recognising.start(spoken, utterance.samples, path, self._own_words.awaited(spoken))

    def _gap(self, identity: str, begin: datetime, end: datetime, reason: str) -> None:
        self._recorder.record(
            GapNoted(at=begin, until=end, what="transcript", reason=reason, identity=identity)
        )


def _played_by(publication: rtc.RemoteTrackPublication) -> Played:
    """What a screen share plays is not its owner's voice."""
    shared = publication.source == rtc.TrackSource.SOURCE_SCREENSHARE_AUDIO
    return "screen_share_audio" if shared else None
