"""Gaps that last are told in pieces and by two signs, and are one."""

from agent.session.events import Event
from agent.session.fold import fold
from agent.session.gaps import joined
from tests.unit.builders import gap, info, left, microphone, scored
from tests.unit.builders import joined as joins


def test_pieces_that_touch_are_one_gap() -> None:
    pieces = [gap(10, 40, "encrypted", "a"), gap(40, 70, "encrypted", "a"), gap(70, 75, "encrypted", "a")]
    assert list(joined(reversed(pieces))) == [gap(10, 75, "encrypted", "a")]


def test_gaps_of_others_of_other_reasons_and_at_other_times_stand() -> None:
    apart = [gap(10, 40, "encrypted", "a"), gap(40, 70, "encrypted", "b"), gap(41, 70, "encrypted", "a")]
    assert sorted(joined(apart), key=str) == sorted(apart, key=str)
    assert len(joined([gap(10, 40, "encrypted", "a"), gap(40, 50, "not_permitted", "a")])) == 2


def test_speech_without_words_is_never_run_together() -> None:
    assert len(joined([gap(10, 12, identity="a"), gap(12, 14, identity="a")])) == 2


def test_a_connection_is_lost_once_by_whatever_it_is_seen() -> None:
    lost = gap(20, 40, "connection_lost", "student")
    session = fold(info(), [joins(0), microphone(1), scored(31, "lost"), lost, left(40)])
    assert [(g["from"][17:19], g["until"][17:19]) for g in session.gaps()] == [("20", "40")]


def test_an_encrypted_microphone_is_audible_and_not_heard() -> None:
    events: list[Event] = [
        joins(0),
        microphone(1),
        gap(1, 50, "encrypted", "student"),
        microphone(50, on=False),
        left(60),
    ]
    own = fold(info(), events).coverage()["participants"]["student"]
    assert (own["audible"], own["heard"], own["share"]) == (49, 0, 0)
