"""The fold's promise: neither the order of events nor their repetition changes the session."""

from collections.abc import Sequence
from itertools import permutations
from random import Random
from typing import Any

import pytest

from agent.session.events import ConnectionQuality, Event
from agent.session.fold import ENDED_BY_PARTICIPANT, ROOM_EMPTY, fold
from tests.unit.builders import (
    STUDENT_ID,
    ended,
    gap,
    heard,
    info,
    joined,
    left,
    reading,
    scored,
    told,
)


def everything_of(events: Sequence[Event]) -> dict[str, Any]:
    session = fold(info(), events)
    return {
        "start": session.start_time,
        "stays": session.stays,
        "user_id": session.user_id,
        "transcript": session.transcript(),
        "quality_metrics": session.quality_metrics(),
        "gaps": session.gaps(),
        "coverage": session.coverage(),
        "ending": session.ending,
        "last_evidence": session.last_evidence,
    }


def a_session(random: Random) -> list[Event]:
    """Ten minutes: a student who drops out and returns, a late role, an AI counselor that sends its words."""
    events: list[Event] = [
        joined(0, "ada", "PA_1", role="participant"),
        joined(0, "ada", "PA_1", role="student"),
        joined(0, "ada", "PA_1", role="student", user_id=STUDENT_ID),
        left(200, "ada", "PA_1"),
        joined(204.25, "ada", "PA_2", role="student", user_id=STUDENT_ID),
        left(199.5, "ada", "PA_1"),
        joined(3, "counselor-ai", role="counselor"),
        ended(560, ENDED_BY_PARTICIPANT),
        left(570, "ada", "PA_2"),
        left(575.5, "counselor-ai"),
        ended(575.5, ROOM_EMPTY),
        heard(8, "Good morning Ada how are you", "counselor-ai", lasting=2),
        told(11, "Good morning, Ada, how are you?", "counselor-ai"),
        gap(210, 230, identity="ada"),
        gap(300, 302.5),
    ]
    for n in range(40):
        events.append(heard(12.5 + 13 * n, f"thought {n}", "ada", lasting=random.uniform(1, 12)))
        events.append(told(20.25 + 13 * n, f"answer {n}", "counselor-ai"))
        events.append(heard(20.5 + 13 * n, f"answer {n}", "counselor-ai"))
    for n in range(1, 56):
        events += [
            reading(
                10 * n,
                identity,
                lasting=random.uniform(9.9, 10.1),
                kbps=random.uniform(300, 2500),
                fps=random.uniform(5, 30),
                packets_lost=random.randrange(20),
                packets_received=random.randrange(5000),
            )
            for identity in ("ada", "counselor-ai")
        ]
        events.append(reading(10 * n, "ada", source="microphone", kbps=random.uniform(20, 40)))
        events.append(reading(10 * n + 1, "ada", leg="client_to_sfu", kbps=random.uniform(20, 40)))
    for n in range(60):
        score: ConnectionQuality = random.choice(["excellent", "good", "poor", "lost"])
        events.append(scored(5 + 9.173 * n, score, random.choice(["ada", "counselor-ai"])))
    return events


@pytest.mark.parametrize("seed", range(20))
def test_a_session_is_the_same_whatever_the_order_and_repetition_of_its_events(seed: int) -> None:
    random = Random(seed)
    events = a_session(random)
    as_it_happened = everything_of(events)
    repeated = events + random.choices(events, k=len(events) // 2)
    random.shuffle(repeated)
    assert everything_of(repeated) == as_it_happened


def test_applying_a_journal_again_takes_nothing_in() -> None:
    events = a_session(Random(1))
    session = fold(info(), events)
    assert not any(session.apply(event) for event in events)


SIMULTANEOUS: dict[str, list[Event]] = {
    "a role that changes from one to another": [
        joined(0, "ada", role="student"),
        joined(0, "ada", role="counselor"),
        heard(1, "hello", "ada"),
    ],
    "a name that changes": [joined(0, name="Ada"), joined(0, name="Ada L.")],
    "a user id that changes": [joined(0, user_id=STUDENT_ID), joined(0, user_id=STUDENT_ID[::-1])],
    "two stays in different roles": [
        joined(0, "ada", "PA_1", role="participant"),
        left(5, "ada", "PA_1"),
        joined(10, "ada", "PA_2", role="student"),
        heard(11, "hello", "ada"),
    ],
    "two messages in one millisecond": [told(1, "first"), told(1, "second")],
    "a first message that shares its millisecond": [
        heard(0, "say no more", lasting=0.5),
        told(1, "say no more"),
        told(1, "quite another matter"),
    ],
    "two gaps that begin at once": [gap(1, 2, "x", "ada"), gap(1, 2, "x", "ben"), gap(1, 3, "y", "ada")],
    "two endings at once": [joined(0), ended(9, ROOM_EMPTY), ended(9, "recorder_gone")],
    "two scores in one millisecond": [joined(0), scored(1, "poor"), scored(1, "excellent"), left(9)],
}


@pytest.mark.parametrize("events", SIMULTANEOUS.values(), ids=SIMULTANEOUS.keys())
def test_what_happens_at_once_folds_to_one_session_whichever_comes_first(events: list[Event]) -> None:
    expected = everything_of(events)
    for other_order in permutations(events):
        assert everything_of(other_order) == expected
