"""What participants, or agents for them, say in their own words -> utterances.

An agent's stand for what Whisper would hear of its voice: that is held until they come. A person's stand
beside it.
"""

from collections.abc import Awaitable, Callable
from datetime import datetime

from livekit import rtc

from agent.budgets import Budgets
from agent.handlers import listen
from agent.own_words_held import OwnWordsHeld
from agent.presence import is_agent, is_recorded
from agent.recorder import Recorder
from agent.senders import Senders, voices
from agent.session.errors import MessageRefused
from agent.session.events import UtteranceHeard, milliseconds
from agent.session.rooms import storable
from agent.spoken import Spoken

ON_BEHALF = "lk.publish_on_behalf"  # attribute of an avatar: the agent whose voice it is
_LONGEST_ID = 64


class OwnWords:
    """One room's."""

    def __init__(self, room: rtc.Room, recorder: Recorder, senders: Senders, budgets: Budgets) -> None:
        self.held = OwnWordsHeld()
        self._room = room
        self._recorder = recorder
        self._senders = senders
        self._budgets = budgets
        listen(room, "participant_disconnected", lambda who: self.held.gone(storable(who.identity)))
        recorder.when_claimed(lambda _until: self._count_what_there_is())

    def take(
        self,
        sender: rtc.RemoteParticipant,
        text: str,
        begin: datetime,
        end: datetime,
        *,
        speaker: rtc.RemoteParticipant | None = None,
        language: str | None = None,
        segment: str | None = None,
    ) -> None:
        """Words become an utterance of the `speaker`, who is the sender unless told otherwise.

        Nobody spoke before they came. Raises `MessageRefused` where that is more than a sender may send.
        """
        speaker = speaker or sender
        agent = is_agent(speaker)
        self._budgets.words(sender.identity, len(text.encode("utf-8", "replace")), agent=is_agent(sender))
        if speaker.joined_at is not None:
            begin = max(begin, speaker.joined_at)
        words = UtteranceHeard(
            at=milliseconds(min(begin, end)),
            end=milliseconds(end),
            identity=storable(speaker.identity),
            text=text,
            source="data",
            language=language,
            told="agent" if agent else "person",
            sent_by=storable(sender.identity) if sender.identity != speaker.identity else None,
            segment=storable(segment[:_LONGEST_ID]) if segment else None,
        )
        self._recorder.record(words)
        if agent and speaker.identity in self._room.remote_participants:
            self.held.sent(words)

    def speaker(self, sender: rtc.RemoteParticipant, track_sid: str | None) -> rtc.RemoteParticipant:
        """Whose words a text stream has: of whoever's track it names, else the sender's or its avatar's.

        Raises `MessageRefused` where a person names somebody else's.
        """
        owner = self._senders.owner_of(track_sid) if track_sid else self._avatar_of(sender)
        if owner is None or owner.identity == sender.identity:
            return sender
        if not is_agent(sender) or not is_recorded(owner):
            raise MessageRefused("not the sender's track")
        return owner

    def awaited(self, spoken: Spoken) -> Callable[[], Awaitable[bool]] | None:
        """What tells whether own words stand for this speech; None where it needs Whisper now."""
        speaker = self._senders.known(spoken.identity)
        if spoken.track is not None or speaker is None or not is_agent(speaker):
            return None
        turn = self.held.spoke(spoken)
        return (lambda: self.held.came(spoken, turn)) if self.held.sends(spoken.identity) else None

    def _avatar_of(self, sender: rtc.RemoteParticipant) -> rtc.RemoteParticipant | None:
        """Who speaks for an agent that is not heard itself; a person cannot claim to be one."""
        if not is_agent(sender) or any(voices(sender)):
            return None
        here = self._room.remote_participants.values()
        return next((p for p in here if is_agent(p) and p.attributes.get(ON_BEHALF) == sender.identity), None)

    def _count_what_there_is(self) -> None:
        """Whoever takes a session over goes on with what is left of its budget."""
        for utterance in self._recorder.session.utterances:
            if utterance.source == "data" and utterance.text:
                size = len(utterance.text.encode("utf-8", "replace"))
                self._budgets.had_words(size, agent=utterance.told == "agent")
