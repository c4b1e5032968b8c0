"""What is missing of one participant's words, and why."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from agent.session.connection import QualityState
from agent.session.coverage import OWN_WORDS_MISSING, SPEECH_WITHOUT_WORDS
from agent.session.events import GapNoted, UtteranceHeard
from agent.session.own_words import accounted_for
from agent.session.spans import Span, rest_of, union, without

CONNECTION_LOST = "connection_lost"  # LiveKit heard nothing more of a participant who had not left


def with_words(utterances: Iterable[UtteranceHeard]) -> list[Span]:
    """When their voice was heard and its words are known: Whisper's, or an agent's own.

    The times that own messages claim are no speech. A person's own words stand beside what was heard.
    """
    voice = [u for u in utterances if u.track is None]
    own = [u for u in voice if u.source == "data" and u.text and u.told != "person"]
    heard = (Span(u.at, u.end) for u in voice if u.source == "whisper")
    return union([*heard, *accounted_for(_without_text(voice), own)])


def missing(
    identity: str,
    utterances: Sequence[UtteranceHeard],
    states: Iterable[QualityState],
    noted: Sequence[GapNoted],
) -> Iterator[GapNoted]:
    """One participant's gaps: those noted, as far as no words came after all; those that nobody had to note.

    These are speech whose words its speaker never sent, and the time while their connection was lost: what
    they said then reached nobody.
    """
    told = with_words(utterances)
    played = {(u.at, u.end) for u in utterances if u.track is not None}
    for gap in noted:
        if gap.reason not in SPEECH_WITHOUT_WORDS:
            yield gap
        elif (gap.at, gap.until) not in played:
            rest = rest_of(Span(gap.at, gap.until), told) if gap.track is None else [Span(gap.at, gap.until)]
            yield from (replace(gap, at=part.begin, until=part.end) for part in rest)
    known = [Span(gap.at, gap.until) for gap in noted if gap.reason in SPEECH_WITHOUT_WORDS]
    never_sent = without(_without_text(u for u in utterances if u.track is None), [*told, *known])
    lost = [Span(state.begin, state.end) for state in states if state.quality == "lost"]
    for reason, spans in ((OWN_WORDS_MISSING, never_sent), (CONNECTION_LOST, lost)):
        for span in spans:
            yield GapNoted(at=span.begin, until=span.end, what="transcript", reason=reason, identity=identity)


def _without_text(voice: Iterable[UtteranceHeard]) -> list[Span]:
    """Speech of which Whisper was asked nothing, as its speaker sends words."""
    return [Span(u.at, u.end) for u in voice if u.source == "data" and not u.text]
