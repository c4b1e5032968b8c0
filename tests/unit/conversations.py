"""Conversations at random, with all that can fail in them: what a recorder's journal may hold.

Times are in tenths of a second; what hostile clients claim lies far outside of the conversation.
"""

from collections.abc import Sequence
from dataclasses import replace
from random import Random
from typing import Any, get_args

from hypothesis import strategies as st

from agent.session.events import (
    ConnectionQuality,
    ConnectionQualityChanged,
    Event,
    GapNoted,
    MicrophoneChanged,
    ParticipantJoined,
    ParticipantLeft,
    Role,
    SessionEnded,
    Teller,
    UtteranceHeard,
)
from agent.session.fold import ENDED_BY_PARTICIPANT, RECORDER_LOST, ROOM_CLOSED, ROOM_EMPTY
from agent.session.reasons import GAP_REASONS
from tests.unit.builders import at, reading

LONGEST = 1500  # tenths of a second
WORDS = ("yes", "no", "I", "you", "see", "think", "go", "so", "大", "学", "it's", "school", "money", "…")

moments = st.integers(0, LONGEST)
lengths = st.integers(1, 80)
texts = st.integers(0, 2**16).map(lambda n: " ".join(Random(n).choices(WORDS, k=1 + n % 14)))
claims = st.one_of(moments, moments, st.integers(-100_000, 100_000))


@st.composite
def stays(draw: st.DrawFn, identity: str, kind: Any) -> list[Event]:
    """One to three, perhaps at once; some without a leave, and some told twice."""
    events: list[Event] = []
    for n in range(draw(st.integers(1, 3))):
        begin, sid = draw(moments), f"PA_{identity}_{n}"
        role = draw(st.sampled_from(get_args(Role)))
        join = ParticipantJoined(
            at=at(begin / 10), identity=identity, participant_sid=sid, name=identity, role=role, kind=kind
        )
        events.append(join)
        if draw(st.booleans()):
            events.append(replace(join, name=f"{identity}!", observed=at(begin / 10 + 1)))
        for _ in range(draw(st.integers(0, 2))):
            left_at = at((begin + draw(st.integers(-5, 800))) / 10)
            events.append(ParticipantLeft(at=left_at, identity=identity, participant_sid=sid))
    return events


@st.composite
def sounds(draw: st.DrawFn, identity: str) -> list[Event]:
    """Speech, each stretch with its fate; microphones that go on and off."""
    events: list[Event] = []
    for _ in range(draw(st.integers(0, 8))):
        begin, length = draw(moments), draw(lengths)
        spoken = UtteranceHeard(
            at=at(begin / 10), end=at((begin + length) / 10), identity=identity, text="", source="whisper"
        )
        lost = GapNoted(
            at=spoken.at, until=spoken.end, what="transcript", reason="transcription_unavailable",
            identity=identity,
        )  # fmt: skip
        late = replace(spoken, at=at((begin + draw(st.integers(0, 3))) / 10), text=draw(texts))
        fates: list[list[Event]] = [
            [replace(spoken, text=late.text)],
            [replace(spoken, text=late.text)],
            [spoken],
            [replace(spoken, source="data")],
            [replace(spoken, source="data")],
            [lost],
            [lost, late],
            [replace(lost, reason="own_words_missing")],
            [replace(spoken, source="data"), late],
            [replace(lost, track="screen_share_audio")],
            [replace(late, track="screen_share_audio")],
        ]
        events += draw(st.sampled_from(fates))
    for n, moment in enumerate(draw(st.lists(moments, max_size=4))):
        on = draw(st.booleans())
        events.append(
            MicrophoneChanged(at=at(moment / 10), identity=identity, track_sid=f"TR_{n % 2}", on=on)
        )
    return events


@st.composite
def own_words(draw: st.DrawFn, identity: str, heard: Sequence[Event], told: Any) -> list[Event]:
    """Messages: of what was heard, nearly or exactly, or of anything, at any time that a client may claim."""
    events: list[Event] = []
    said: list[UtteranceHeard] = [e for e in heard if isinstance(e, UtteranceHeard) and e.text]
    for n in range(draw(st.integers(0, 5))):
        begin, length, text = draw(claims), draw(st.integers(0, 300)), draw(texts)
        if said and n % 2:
            like = said[draw(st.integers(0, len(said) - 1))]
            words = like.text.split()
            cut = length % (len(words) + 1)
            text = (like.text, " ".join(words[:cut] or words), f"{like.text} {text}")[length % 3]
            begin = round((like.end - at(0)).total_seconds() * 10) + draw(st.integers(-350, 350))
        sent_by = draw(st.sampled_from((None, None, "stt-bot")))
        events.append(
            UtteranceHeard(
                at=at(begin / 10), end=at((begin + length) / 10), identity=identity, text=text, source="data",
                told=told, sent_by=sent_by,
            )
        )  # fmt: skip
    return events


@st.composite
def mishaps(draw: st.DrawFn, identities: Sequence[str]) -> list[Event]:
    """Gaps of the whole room and of one, lost connections, readings, endings."""
    events: list[Event] = []
    for _ in range(draw(st.integers(0, 4))):
        begin, reason = draw(moments), draw(st.sampled_from(sorted(GAP_REASONS)))
        what: Any = draw(st.sampled_from(("transcript", "everything", "quality")))
        whose = draw(st.sampled_from((None, *identities)))
        until = at((begin + draw(lengths)) / 10)
        reason = "recorder_error" if what == "quality" else reason
        events.append(GapNoted(at=at(begin / 10), until=until, what=what, reason=reason, identity=whose))
    for _ in range(draw(st.integers(0, 4))):
        quality = draw(st.sampled_from(get_args(ConnectionQuality)))
        who = draw(st.sampled_from(identities))
        events.append(ConnectionQualityChanged(at=at(draw(moments) / 10), identity=who, quality=quality))
    for n in range(draw(st.integers(0, 3))):
        kbps, fps = draw(st.floats(0, 5000)), draw(st.floats(0, 60))
        lost, who = draw(st.integers(0, 50)), draw(st.sampled_from(identities))
        events.append(reading(10 * n + 10, who, kbps=kbps, fps=fps, packets_lost=lost, packets_received=500))
    events += [
        SessionEnded(at=at(draw(st.integers(0, 2 * LONGEST)) / 10), reason=reason)
        for reason in draw(st.lists(st.sampled_from(ENDINGS), max_size=3))
    ]
    return events


ENDINGS = (ROOM_EMPTY, ROOM_EMPTY, ROOM_CLOSED, ENDED_BY_PARTICIPANT, RECORDER_LOST)


@st.composite
def conversations(draw: st.DrawFn) -> list[Event]:
    """A journal's events, each once, in some order."""
    identities = ["ada", "ben", "ai"][: draw(st.integers(1, 3))]
    events: list[Event] = []
    for identity in identities:
        agent = identity == "ai"
        told: Teller | None = draw(st.sampled_from(("agent" if agent else "person", None)))
        if draw(st.integers(0, 9)):  # nearly everybody's stay was seen
            events += draw(stays(identity, "agent" if agent and draw(st.booleans()) else None))
        spoken = draw(sounds(identity))
        events += [*spoken, *draw(own_words(identity, spoken, told))]
    events += draw(mishaps(identities))
    return list(dict.fromkeys(events))
