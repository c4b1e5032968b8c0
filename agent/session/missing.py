"""What is missing of one participant's words, and why."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from agent.session.connection import QualityState
from agent.session.coverage import SPEECH_WITHOUT_WORDS
from agent.session.events import GapNoted, UtteranceHeard
from agent.session.own_words import accounted_for
from agent.session.reasons import CONNECTION_LOST, OWN_WORDS_MISSING
from agent.session.spans import Span, rest_of, union, without


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
    known = list(told)
    for gap in noted:
        missed = Span(gap.at, gap.until)
        if gap.reason not in SPEECH_WITHOUT_WORDS or (gap.track and (gap.at, gap.until) not in played):
            yield gap
        elif (gap.at, gap.until) not in played:
            known.append(missed)
            yield from (replace(gap, at=rest.begin, until=rest.end) for rest in rest_of(missed, told))
    never_sent = without(_without_text(u for u in utterances if u.track is None), known)
    lost = [Span(state.begin, state.end) for state in states if state.quality == "lost"]
    for reason, spans in ((OWN_WORDS_MISSING, never_sent), (CONNECTION_LOST, lost)):
        for span in spans:
            yield GapNoted(at=span.begin, until=span.end, what="transcript", reason=reason, identity=identity)


def _without_text(voice: Iterable[UtteranceHeard]) -> list[Span]:
    """Speech of which Whisper was asked nothing, as its speaker sends words."""
    return [Span(u.at, u.end) for u in voice if u.source == "data" and not u.text]
