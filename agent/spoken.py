"""Who spoke, from when to when: what is known of an utterance before its words are."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from agent.recognition import Words
from agent.session.coverage import TRANSCRIPTION_UNAVAILABLE
from agent.session.events import GapNoted, Played, UtteranceHeard
from agent.session.rooms import storable
from agent.session.spans import Span, mostly_the_same


@dataclass(frozen=True, slots=True)
class Spoken:
    """Speech of one participant, or (`track`) what their screen share played."""

    identity: str
    begin: datetime
    end: datetime
    track: Played = None

    @classmethod
    def of(cls, event: UtteranceHeard) -> "Spoken":
        """The speech that these words are of."""
        return cls(event.identity, event.at, event.end, event.track)

    def heard(self, words: Words) -> UtteranceHeard:
        """These were the words."""
        return UtteranceHeard(
            at=self.begin,
            end=self.end,
            identity=self.identity,
            text=storable(words.text),
            source="whisper",
            language=words.language if words.text else None,
            track=self.track,
        )

    def unheard(self, reason: str = TRANSCRIPTION_UNAVAILABLE) -> GapNoted:
        """Its words could not be had."""
        return GapNoted(
            at=self.begin,
            until=self.end,
            what="transcript",
            reason=reason,
            identity=self.identity,
            track=self.track,
        )

    def told(self) -> UtteranceHeard:
        """Its words come from the speaker's program."""
        return UtteranceHeard(
            at=self.begin, end=self.end, identity=self.identity, text="", source="data", track=self.track
        )

    def same_as(self, other: "Spoken") -> bool:
        """The same speech, cut elsewhere: half of the shorter one lies in the other."""
        if (self.identity, self.track) != (other.identity, other.track):
            return False
        return mostly_the_same(Span(self.begin, self.end), Span(other.begin, other.end))


def heard_in(utterances: Iterable[UtteranceHeard]) -> list[Spoken]:
    """The speech that was heard and has its words; what somebody tells of themselves was not heard."""
    return [Spoken.of(u) for u in utterances if u.source == "whisper" or not u.text]
