"""One room's life, from our hidden join until LiveKit closes it."""

import asyncio
from contextlib import suppress

import structlog
from livekit import rtc
from livekit.agents import AutoSubscribe, JobContext

from agent.announcements import (
    SAVE_FAILED_MESSAGE,
    SAVED_MESSAGE,
    SESSION_SAVE_FAILED,
    SESSION_SAVED,
    announce,
)
from agent.audio_files import audio_folder
from agent.clock import now
from agent.handlers import listen
from agent.hearing import Hearing
from agent.kept_audio import KeptAudio
from agent.messages import Messages
from agent.microphones import Microphones
from agent.presence import Presence
from agent.published import published
from agent.quality import Quality
from agent.receiving import Receiving, decryption
from agent.recognising import Recognising
from agent.recognition import Recogniser
from agent.recorder import Recorder
from agent.session.errors import SessionNotSaved
from agent.session.events import SessionEnded
from agent.session.fold import ENDED_BY_PARTICIPANT
from agent.session.rooms import names_another, session_info
from agent.session_end import SessionEnd
from agent.settings import Settings
from agent.supervision import Supervision
from agent.tasks import Tasks, at_most
from agent.text_streams import TextStreams
from agent.transcription import Transcription
from agent.visits import Visits
from db.pool import Pool

log = structlog.stdlib.get_logger()

CLOSED_SECONDS = 2.0  # between the end of our job and LiveKit's word that the room was closed
STEP_SECONDS = 5.0  # for each step of the end; what hangs is left behind
SAVE_SECONDS = 120.0  # for the session to be saved, or spooled, and let go of


class RoomRecording:
    """Witnesses one room: `begin` joins it, `end` leaves with everything saved."""

    def __init__(
        self, ctx: JobContext, recorder: Recorder, recogniser: Recogniser, settings: Settings, pool: Pool
    ) -> None:
        self._ctx = ctx
        self._room: rtc.Room = ctx.room
        self._recorder = recorder
        self._settings = settings
        self._answers = Tasks()
        self._kept = Supervision()
        self._begun = False
        # Handlers are in place before we connect: nothing that happens meanwhile is missed.
        self._presence = Presence(
            ctx.room,
            recorder,
            on_empty=lambda: self._answers.start(self._save()),
            namespace=settings.web_user_id_namespace,
        )
        self._visits = Visits(ctx, recorder, self._presence, pool, settings.web_user_id_namespace)
        self._session_end = SessionEnd(self._end_session)
        self._messages = Messages(
            ctx.room,
            recorder,
            self._session_end,
            on_unseen=self._visits.somebody_unseen,
        )
        for event in ("reconnected", "room_updated"):
            listen(ctx.room, event, lambda: self._answers.start(self._note_where_we_are()))
        listen(ctx.room, "room_metadata_changed", lambda _old, new: self._room_told_more(new))
        self._text_streams = TextStreams(ctx.room, self._messages)
        self._encryption = decryption(settings)
        self._receiving = Receiving(ctx.room, has_key=self._encryption is not None)
        self._hearing = Hearing(ctx.room, recorder, self._receiving)
        self._quality = Quality(ctx.room, recorder, settings, self._receiving, on_look=self._hearing.looked)
        self._microphones = Microphones(ctx.room, recorder, self._hearing)
        kept = kept_audio(recorder, settings)
        self._recognising = Recognising(
            recorder, recogniser, kept, concurrency=settings.recorder_transcription_concurrency
        )
        self._transcription = Transcription(
            ctx.room,
            recorder,
            self._messages.own_words,
            self._receiving,
            self._hearing,
            self._recognising,
            kept,
            delay_of=self._quality.delay_of,
        )

    async def begin(self) -> bool:
        """Join, and record from here on; False when the room is no longer the one we were sent to."""
        # Subscribed by LiveKit as we come, and not when we ask: we hear a quarter of a second sooner.
        no_video = self._settings.recorder_video == "never"
        wanted = AutoSubscribe.SUBSCRIBE_NONE if no_video else AutoSubscribe.SUBSCRIBE_ALL
        connecting = self._ctx.connect(encryption=self._encryption, auto_subscribe=wanted)
        there, _ = await asyncio.gather(published(self._ctx), connecting)
        if await self._room.sid != self._ctx.job.room.sid:
            log.warning("room_gone_before_join", room_sid_now=await self._room.sid)
            return False
        self._recorder.began_at = now()
        self._begun = True
        if self._room.metadata != self._ctx.job.room.metadata:  # changed while we were on our way
            self._room_told_more(self._room.metadata)
        self._kept.keep("recorder", self._recorder.keep)
        self._kept.keep("leaving", self._leave_when_superseded)
        self._kept.keep("visits", self._visits.keep)
        self._presence.note_those_already_here()
        self._receiving.note_those_already_here()
        self._microphones.note_those_already_here(there)
        self._quality.subscribe_to_those_already_here()
        self._transcription.subscribe_to_those_already_here()
        return True

    async def end(self) -> None:
        """Take the last readings, wait for the last words, save: whatever hangs on the way."""
        grace = self._settings.recorder_transcription_grace
        await asyncio.gather(
            at_most(STEP_SECONDS, "last readings", self._quality.close()),
            at_most(STEP_SECONDS, "word of the end", self._presence.told_of_the_end(within=CLOSED_SECONDS)),
        )
        await at_most(grace + 3 * STEP_SECONDS, "last words", self._transcription.close(grace))
        await at_most(STEP_SECONDS, "text streams", self._text_streams.close())
        self._messages.close()
        await at_most(STEP_SECONDS, "answers", self._session_end.close())
        await at_most(STEP_SECONDS, "answers", self._answers.close(grace=0))
        await at_most(STEP_SECONDS, "background tasks", self._kept.close())
        await at_most(STEP_SECONDS, "visits", self._visits.take_in())
        self._microphones.close()
        self._hearing.close()
        await at_most(SAVE_SECONDS, "saving", self._recorder.close())
        await at_most(STEP_SECONDS, "forgetting", self._recognising.close())

    async def _note_where_we_are(self) -> None:
        """A restarted server has a new room for us; whoever it sends there finds us by its sid."""
        room_sid = await self._room.sid
        if self._begun and room_sid != self._recorder.session.info.room_sid:
            log.warning("room_moved", room_sid_now=room_sid)
            self._recorder.moved(room_sid)

    def _room_told_more(self, metadata: str) -> None:
        """The platform says only now, or anew, whose session it is, what about and how."""
        known, settings = self._recorder.session.info, self._settings
        told, problems = session_info(
            known.room_name,
            known.room_sid,
            metadata,
            settings.recorder_room_prefix,
            settings.web_user_id_namespace,
        )
        for problem in [*problems, *names_another(told, known.session_id)]:
            log.warning("room_metadata_ignored", problem=problem)
        self._recorder.told_of_room(told)
        if self._recorder.session.info.user_id != known.user_id:
            self._presence.room_names_another()

    async def _save(self) -> None:
        """The room is empty: save now; words that are still being recognised are saved when they come."""
        await self._visits.take_in()
        with suppress(SessionNotSaved):
            await self._recorder.save()

    async def _end_session(self) -> None:
        """A participant asked: finish the words in flight, save, answer. What takes longer is saved later."""
        asked_at = now()
        try:
            await self._transcription.finish_words_in_flight(self._settings.recorder_transcription_grace)
        finally:
            self._recorder.record(SessionEnded(at=asked_at, reason=ENDED_BY_PARTICIPANT))
        session_id = self._recorder.session.info.session_id
        try:
            await self._recorder.save()
        except SessionNotSaved:
            await announce(self._room, SESSION_SAVE_FAILED, session_id, SAVE_FAILED_MESSAGE)
            await self._recorder.saved()
        await announce(self._room, SESSION_SAVED, session_id, SAVED_MESSAGE)

    async def _leave_when_superseded(self) -> None:
        await self._recorder.superseded.wait()
        self._ctx.shutdown("another recorder holds this session")
        await asyncio.Event().wait()  # until that ends us


def kept_audio(recorder: Recorder, settings: Settings) -> KeptAudio:
    """Where this recorder's speech waits for its words."""
    folder, limit = audio_folder(settings.recorder_spool_dir), settings.recorder_audio_mb * 1_000_000
    return KeptAudio(folder, recorder.session.info, recorder.owner, limit=limit)
