from dataclasses import replace
from functools import partial
from itertools import permutations
from random import Random
from time import perf_counter
from uuid import UUID

import pytest

from agent.session.events import Event, ParticipantJoined, Role, UtteranceHeard, iso
from agent.session.fold import (
    ENDED_BY_PARTICIPANT,
    RECORDER_LOST,
    ROOM_CLOSED,
    ROOM_EMPTY,
    Session,
    Stay,
    fold,
)
from tests.unit.builders import STUDENT_ID, at, ended, gap, heard, info, joined, left, scored

OTHER_ID = "99999999-9999-4999-8999-999999999999"


def test_nothing_has_happened_yet() -> None:
    session = Session(info())
    assert session.start_time is None
    assert session.ending is None
    assert session.last_evidence is None
    assert session.stays == []
    assert session.transcript() == []
    assert session.gaps() == []


def test_a_session_starts_when_the_first_participant_joined() -> None:
    session = fold(info(), [joined(5, "counselor", role="counselor"), joined(2)])
    assert session.start_time == at(2)


def test_a_known_event_is_refused_and_a_new_one_taken() -> None:
    session = Session(info())
    assert session.apply(joined(0)) is True
    assert session.apply(joined(0)) is False
    assert session.apply(joined(0, sid="PA_2")) is True


def test_whoever_has_not_left_is_present() -> None:
    session = fold(info(), [joined(0), joined(1, "counselor", role="counselor"), left(9)])
    assert [stay.joined.identity for stay in session.present] == ["counselor"]


def test_a_rejoin_is_a_stay_of_its_own() -> None:
    first, second = joined(0, sid="PA_1"), joined(30, sid="PA_2")
    session = fold(info(), [first, left(20, sid="PA_1"), second])
    assert session.stays == [Stay(first, at(20)), Stay(second, None)]


def test_a_rejoin_before_the_old_connection_is_given_up_keeps_both_stays() -> None:
    session = fold(info(), [joined(0, sid="PA_1"), joined(30, sid="PA_2"), left(31, sid="PA_1")])
    assert [stay.left_at for stay in session.stays] == [at(31), None]


def test_a_leave_that_is_known_before_its_join_still_ends_the_stay() -> None:
    assert fold(info(), [left(20), joined(0)]).stays == [Stay(joined(0), at(20))]


def test_a_leave_without_a_join_is_no_stay() -> None:
    assert fold(info(), [left(20)]).stays == []


def test_nobody_leaves_before_they_joined_whatever_the_clocks_say() -> None:
    assert fold(info(), [joined(10), left(9.5)]).stays == [Stay(joined(10), at(10))]


def test_of_two_leaves_of_one_stay_the_first_counts() -> None:
    assert fold(info(), [joined(0), left(20), left(25)]).stays[0].left_at == at(20)


def test_a_role_that_becomes_known_later_is_the_role_of_the_whole_stay() -> None:
    session = fold(info(), [joined(0, "ada", role="participant"), heard(1, "hello", "ada"), joined(0, "ada")])
    assert [stay.joined.role for stay in session.stays] == ["student"]
    assert session.transcript()[0]["speaker"] == "user"


def test_a_user_id_that_becomes_known_later_is_kept() -> None:
    session = fold(info(), [joined(0), joined(0, user_id=STUDENT_ID), joined(0)])
    assert session.user_id == STUDENT_ID
    assert len(session.stays) == 1


def test_the_last_evidence_is_the_end_of_the_last_words_when_nothing_came_after() -> None:
    assert fold(info(), [joined(0), heard(5, "hello", lasting=3)]).last_evidence == at(8)
    assert fold(info(), [joined(0), heard(5, "hello", lasting=3), left(9)]).last_evidence == at(9)


def test_a_session_ends_when_the_room_is_empty() -> None:
    assert fold(info(), [joined(0), left(60), ended(60)]).ending == ended(60, ROOM_EMPTY)


def test_a_session_goes_on_while_nobody_said_that_it_ended() -> None:
    assert fold(info(), [joined(0), left(60)]).ending is None


def test_whoever_leaves_in_the_moment_they_joined_leaves_an_empty_room() -> None:
    assert fold(info(), [joined(10), left(10), ended(10)]).ending == ended(10)


def test_a_later_join_opens_the_session_again() -> None:
    events: list[Event] = [joined(0, sid="PA_1"), left(60, sid="PA_1"), ended(60), joined(90, sid="PA_2")]
    assert fold(info(), events).ending is None


def test_a_session_that_was_opened_again_ends_with_its_last_ending() -> None:
    events: list[Event] = [
        joined(0, sid="PA_1"),
        left(60, sid="PA_1"),
        ended(60),
        joined(90, sid="PA_2"),
        left(120, sid="PA_2"),
        ended(120),
    ]
    assert fold(info(), events).ending == ended(120)


def test_a_role_told_after_the_end_does_not_open_the_session_again() -> None:
    events: list[Event] = [joined(0, role="participant"), left(60), ended(60), joined(0, role="student")]
    assert fold(info(), events).ending == ended(60)


def test_whoever_lingers_moves_the_end_of_a_session_that_was_ended_but_not_its_reason() -> None:
    events: list[Event] = [joined(0), ended(100, ENDED_BY_PARTICIPANT)]
    assert fold(info(), events).ending == ended(100, ENDED_BY_PARTICIPANT)
    events += [left(130), ended(130, ROOM_EMPTY)]
    assert fold(info(), events).ending == ended(130, ENDED_BY_PARTICIPANT)


def test_a_session_that_was_ended_and_opened_again_forgets_who_ended_it() -> None:
    events: list[Event] = [
        joined(0, sid="PA_1"),
        ended(100, ENDED_BY_PARTICIPANT),
        left(110, sid="PA_1"),
        ended(110),
        joined(200, sid="PA_2"),
        left(300, sid="PA_2"),
        ended(300),
    ]
    assert fold(info(), events).ending == ended(300, ROOM_EMPTY)


def test_a_user_id_in_the_rooms_metadata_comes_first() -> None:
    session = fold(info(user_id=UUID(OTHER_ID)), [joined(0, user_id=STUDENT_ID)])
    assert session.user_id == OTHER_ID


def test_else_the_user_id_is_that_of_the_first_student_who_has_one() -> None:
    events: list[Event] = [
        joined(0, "anonymous"),
        joined(20, "second", user_id=OTHER_ID),
        joined(10, "first", user_id=STUDENT_ID),
    ]
    assert fold(info(), events).user_id == STUDENT_ID


@pytest.mark.parametrize("role", ["counselor", "participant"])
def test_the_user_id_of_somebody_who_is_no_student_is_not_the_sessions(role: Role) -> None:
    assert fold(info(), [joined(0, "other", role=role, user_id=OTHER_ID)]).user_id is None


def test_gaps_are_told_in_the_order_in_which_they_began() -> None:
    session = fold(info(), [gap(30, 40, "later", "student"), gap(10, 50, "earlier")])
    assert session.gaps() == [
        {
            "what": "transcript",
            "from": "2026-01-31T10:00:10.000Z",
            "until": "2026-01-31T10:00:50.000Z",
            "reason": "earlier",
        },
        {
            "what": "transcript",
            "from": "2026-01-31T10:00:30.000Z",
            "until": "2026-01-31T10:00:40.000Z",
            "reason": "later",
            "identity": "student",
        },
    ]


def test_a_connection_score_alone_makes_no_stay() -> None:
    session = fold(info(), [scored(1, "good", "nobody")])
    assert session.stays == []
    assert session.quality_metrics()["participants"] == {}


def test_the_latest_truth_of_somebody_holds_by_when_it_was_observed() -> None:
    first = replace(joined(0, "ada", name="Ada", user_id=OTHER_ID), observed=at(1))
    later = replace(joined(0, "ada", name="A. L.", user_id=STUDENT_ID), observed=at(9))
    for order in ([first, later], [later, first]):
        session = fold(info(), order)
        assert [stay.joined.name for stay in session.stays] == ["A. L."]
        assert session.user_id == STUDENT_ID
        assert session.viewers == [UUID(STUDENT_ID)]
    no_student = replace(joined(0, "ada", role="counselor", user_id=STUDENT_ID), observed=at(20))
    assert fold(info(), [no_student, first, later]).user_id is None


def agent(seconds: float, sid: str = "PA_ai") -> ParticipantJoined:
    return replace(joined(seconds, "ai", sid, role="counselor"), kind="agent")


@pytest.mark.parametrize("seed", range(10))
def test_a_session_ends_with_its_last_person_not_with_the_agent_that_stays_on(seed: int) -> None:
    events: list[Event] = [agent(0), joined(2), left(60), ended(60), heard(200, "anyone?", "ai")]
    later: list[Event] = [left(400, "ai", "PA_ai"), ended(400, ROOM_CLOSED)]
    back: list[Event] = [agent(500, "PA_ai2"), left(510, "ai", "PA_ai2"), ended(510)]
    for known in (events, [*events, *later], [*events, *later, *back]):
        shuffled = Random(seed).sample(known, len(known))
        session = fold(info(), shuffled)
        assert session.ending == ended(60, ROOM_EMPTY)
        assert session.stays[0].left_at == (at(400) if later[0] in known else None)


def test_the_end_that_only_an_agents_leave_told_is_the_last_persons_leave() -> None:
    assert fold(
        info(), [agent(0), joined(2), left(60), left(400, "ai", "PA_ai"), ended(400)]
    ).ending == ended(60)


def test_a_person_who_returns_to_the_agent_opens_the_session_again() -> None:
    events: list[Event] = [
        agent(0),
        joined(2, sid="PA_1"),
        left(60, sid="PA_1"),
        ended(60),
        joined(90, sid="PA_2"),
    ]
    assert fold(info(), events).ending is None
    events += [left(120, sid="PA_2"), ended(120)]
    assert fold(info(), events).ending == ended(120)


def test_an_agent_that_comes_later_opens_nothing() -> None:
    assert fold(info(), [joined(2), left(60), ended(60), agent(90)]).ending == ended(60)


def test_a_session_of_agents_alone_ends_with_the_last_of_them() -> None:
    events: list[Event] = [agent(0), left(60, "ai", "PA_ai"), ended(60)]
    assert fold(info(), events).ending == ended(60)
    assert fold(info(), [*events, agent(90, "PA_ai2")]).ending is None


def test_an_agent_whose_leave_nobody_saw_leaves_with_the_last_evidence() -> None:
    session = fold(info(), [agent(0), joined(2), left(60), ended(60), ended(300, RECORDER_LOST)])
    assert session.ending == ended(60)
    assert session.present == []


def test_a_copy_tells_the_same_while_the_session_grows() -> None:
    session = fold(info(), [joined(0), heard(1, "hello")])
    kept = session.copy()
    session.apply(heard(2, "again"))
    session.apply(joined(3, "counselor", role="counselor"))
    assert [line["text"] for line in kept.transcript()] == ["hello"]
    assert len(kept.stays) == 1
    assert len(session.transcript()) == 2


def test_a_segment_that_began_later_under_the_same_name_replaces_none() -> None:
    words = partial(UtteranceHeard, identity="student", source="data", told="person", segment="1")
    texts = [words(at=at(n), end=at(n + 1), text=f"sentence {n}") for n in (1, 500)]
    for order in permutations(texts):
        assert len(fold(info(), [joined(0), *order]).utterances) == 2


def test_a_segment_that_is_told_anew_again_and_again_takes_no_long_time() -> None:
    words = partial(UtteranceHeard, identity="student", source="data", told="person")
    many = [words(at=at(n), end=at(n + 1), text=f"sentence {n}") for n in range(8_000)]
    anew = [words(at=at(0), end=at(9_000 + n), text=f"version {n}", segment="1") for n in range(8_000)]
    began = perf_counter()
    session = fold(info(), [joined(0), *many, *anew])
    assert perf_counter() - began < 5
    assert len(session.utterances) == 8_001


def test_the_text_of_a_segment_that_ended_last_replaces_the_others_in_any_order() -> None:
    words = partial(UtteranceHeard, identity="student", source="data", told="person")
    texts = [
        words(at=at(1), end=at(end), text=text, segment=segment, sent_by=by)
        for end, text, segment, by in (
            (2, "I think", "SG_1", None),
            (60, "I think so.", "SG_1", None),
            (30, "I think it is", "SG_1", None),
            (5, "of another segment", "SG_2", None),
            (6, "of another sender", "SG_1", "scribe"),
        )
    ]
    for order in permutations(texts):
        session = fold(info(), [joined(0), *order])
        said = sorted(utterance.text for utterance in session.utterances)
        assert said == ["I think so.", "of another segment", "of another sender"]


def test_what_is_left_of_two_gaps_alike_is_one() -> None:
    whole, rest = gap(10, 14, identity="student"), gap(12, 14, identity="student")
    session = fold(info(), [joined(0), heard(10, "Hello.", lasting=2), whole, rest, left(20), ended(20)])
    assert [(g["from"], g["until"]) for g in session.gaps()] == [(iso(rest.at), iso(rest.until))]
