"""A session that goes on after its journal was purged goes on from its record."""

from dataclasses import replace
from typing import Any

from agent.session.events import Event, UtteranceHeard, iso
from agent.session.fold import Session, fold
from agent.session.restore import events_of
from tests.unit.builders import (
    STUDENT_ID,
    ended,
    gap,
    heard,
    info,
    joined,
    left,
    microphone,
    reading,
    scored,
    told,
)

EVENTS: list[Event] = [
    joined(0, name="Sam", user_id=STUDENT_ID),
    joined(2, "counselor", role="counselor"),
    heard(3, "good morning", language="en"),
    told(5, "hello Sam", "counselor"),
    heard(6, "a film", track="screen_share_audio"),
    reading(10, fps=29.5, packets_lost=3, packets_received=97),
    reading(11, leg="client_to_sfu", source="microphone"),
    gap(12, 14),
    replace(gap(15, 16, identity="student"), track="screen_share_audio"),
    left(20),
    left(21, "counselor"),
    ended(21),
]


def record_of(session: Session) -> dict[str, Any]:
    """What the database gives back of a session."""
    ending = session.ending
    return {
        "transcript": session.transcript(),
        "gaps": session.gaps(),
        "end_time": ending.at if ending else None,
        "end_reason": ending.reason if ending else None,
        "participants": [
            {
                "identity": stay.joined.identity,
                "participant_sid": stay.joined.participant_sid,
                "user_id": stay.joined.user_id,
                "name": stay.joined.name,
                "role": stay.joined.role,
                "kind": stay.joined.kind,
                "joined_at": stay.joined.at,
                "left_at": stay.left_at,
            }
            for stay in session.stays
        ],
        "readings": [
            {name: getattr(event, name) for name in event.__dataclass_fields__} | {"read_at": event.at}
            for event in EVENTS
            if type(event).__name__ == "QualityRead"
        ],
    }


def compared(events: list[Event]) -> set[Event]:
    """The same, where own words were compared with what was heard: a record gives them back so."""
    own = [event for event in events if isinstance(event, UtteranceHeard) and event.source == "data"]
    return {replace(event, confirmed=False) if event in own else event for event in events}


def test_a_record_gives_back_the_events_it_was_made_of() -> None:
    assert set(events_of(record_of(fold(info(), EVENTS)))) == compared(EVENTS)


def test_own_words_from_a_record_stand_as_they_stood() -> None:
    """A second "Yes." that was heard stays: the own one stood for the first."""
    said: list[Event] = [heard(3, "Yes."), heard(9, "Yes."), replace(told(4, "yes"), told="person")]
    sent = replace(told(12, "and what nobody heard"), told="person", sent_by="stt-bot")
    whole = fold(info(), [joined(0), *said, sent, left(20), ended(20)])
    assert [line["text"] for line in whole.transcript()] == ["yes", "Yes.", "and what nobody heard"]
    restored = fold(info(), events_of(record_of(whole)))
    assert restored.transcript() == whole.transcript()
    again = fold(info(), events_of(record_of(restored)))
    assert again.transcript() == whole.transcript()
    with_the_original = fold(info(), [*events_of(record_of(whole)), *said, sent])
    assert with_the_original.transcript() == whole.transcript()


def test_what_was_missed_is_missed_still() -> None:
    microphones = [microphone(0), microphone(2, "counselor")]
    missed = [
        gap(5, 9, "recorder_cut_off"),
        gap(11, 12, "not_received", "student"),
        gap(14, 15, "encrypted", "student"),
    ]
    said: list[Event] = [joined(0), joined(2, "counselor"), heard(3, "good morning", lasting=2)]
    whole = fold(info(), [*said, *microphones, *missed, left(20), left(21, "counselor"), ended(21)])
    assert whole.coverage()["share"] == 0.1667
    restored = fold(info(), events_of(record_of(whole)))
    assert restored.coverage()["share"] == 0.1667


def test_what_is_restored_goes_on_like_the_session_itself() -> None:
    later: list[Event] = [joined(90, sid="PA_again"), heard(92, "one more thing"), left(95, sid="PA_again")]
    restored = fold(info(), [*events_of(record_of(fold(info(), EVENTS))), *later, ended(95)])
    whole = fold(info(), [*EVENTS, *later, ended(95)])
    assert restored.transcript() == whole.transcript()
    assert restored.stays == whole.stays
    assert restored.ending == whole.ending
    assert restored.gaps() == whole.gaps()
    assert restored.quality_metrics() == whole.quality_metrics()


def test_quality_scores_are_what_a_record_cannot_give_back() -> None:
    scores: list[Event] = [*EVENTS, scored(1, "poor")]
    assert compared(scores) - set(events_of(record_of(fold(info(), scores)))) == {scored(1, "poor")}


def test_a_stay_that_only_a_client_told_of_is_not_an_event() -> None:
    record = record_of(fold(info(), EVENTS))
    record["participants"].append({"identity": None, "participant_sid": None, "left_at": None})
    assert len(events_of(record)) == len(EVENTS)
    assert iso(record["end_time"]) == "2026-01-31T10:00:21.000Z"
