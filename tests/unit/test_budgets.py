"""How much of what participants send is taken."""

from contextlib import suppress

import pytest

from agent.budgets import AN_ENTRY, DATA, WORDS, Bucket, Budgets, Limit
from agent.session.errors import MessageRefused

KIB = 1024


class Clock:
    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def budgets(clock: Clock) -> Budgets:
    return Budgets(clock)


def taken(budgets: Budgets, identity: str, size: int, *, agent: bool = False, most: int = 10_000) -> int:
    """How many utterances of so many bytes are taken before one is refused."""
    for count in range(most):
        try:
            budgets.words(identity, size, agent=agent)
        except MessageRefused:
            return count
    return most


def test_a_bucket_fills_again_with_time_and_never_over_its_brim() -> None:
    bucket = Bucket(Limit(10, 1), 10, at=0)
    assert bucket.take(10, at=0)
    assert not bucket.take(1, at=0.5)
    assert bucket.take(1, at=1)
    assert not bucket.take(11, at=1000)
    assert bucket.take(10, at=1000)


def test_whoever_talks_fast_for_hours_is_never_refused(budgets: Budgets, clock: Clock) -> None:
    for _ in range(3 * 3600):  # three words a second
        budgets.words("counselor", 20, agent=False)
        clock.seconds += 1


def test_a_sender_who_floods_is_refused_until_it_has_been_silent(budgets: Budgets, clock: Clock) -> None:
    assert taken(budgets, "guest", 16 * KIB) == 3
    assert taken(budgets, "student", 16 * KIB) == 3
    clock.seconds += 17
    assert taken(budgets, "guest", 16 * KIB) == 1


def test_a_room_takes_no_more_words_than_a_row_can_hold_whoever_sends_them(
    budgets: Budgets, clock: Clock
) -> None:
    for _ in range(20):  # guests that come again under ever new names
        sum(taken(budgets, f"guest-{clock.seconds}-{n}", 15 * KIB) for n in range(50))
        clock.seconds += 3600
    assert taken(budgets, "one more", 15 * KIB) == 0


def test_what_people_send_uses_nothing_up_of_what_agents_may(budgets: Budgets) -> None:
    for number in range(1000):
        taken(budgets, f"guest-{number}", 15 * KIB)
    assert taken(budgets, "counselor-ai", 15 * KIB, agent=True) == 4


def test_whoever_takes_a_session_over_goes_on_with_the_rest_of_its_budget(budgets: Budgets) -> None:
    budgets.had_words(int(WORDS[1].at_once) - 10 * KIB, agent=False)
    assert taken(budgets, "student", KIB) == (10 * KIB - AN_ENTRY) // (KIB + AN_ENTRY)
    assert taken(budgets, "counselor-ai", KIB, agent=True) > 10


def test_what_is_refused_of_all_takes_nothing_from_who_sent_it(budgets: Budgets) -> None:
    budgets.had_words(int(WORDS[1].at_once), agent=False)
    assert taken(budgets, "student", KIB) == 0
    with pytest.raises(MessageRefused) as refusal:
        budgets.words("student", KIB, agent=False)
    assert refusal.value.words
    assert refusal.value.once
    own = budgets._buckets[WORDS[0], "student"]
    assert own.left == own.limit.at_once


def test_bytes_are_refused_before_anybody_reads_them(budgets: Budgets, clock: Clock) -> None:
    refused = 0
    for _ in range(14_000):  # 16 KiB each, in 185 s
        clock.seconds += 185 / 14_000
        try:
            budgets.data("guest", 16 * KIB)
        except MessageRefused:
            refused += 1
    most = (DATA[0].at_once + 185 * DATA[0].per_second) / (16 * KIB)
    assert 14_000 - refused <= most


def test_identities_without_end_are_not_remembered_without_end(budgets: Budgets) -> None:
    for number in range(20_000):
        budgets.line(f"guest-{number}")
    assert len(budgets._buckets) < 10_000


def test_readings_are_taken_as_often_as_anybody_measures_and_not_as_often_as_one_can(
    budgets: Budgets, clock: Clock
) -> None:
    for _ in range(3600):  # four tracks, once a second
        for _track in range(4):
            budgets.reading("student")
        clock.seconds += 1
    for _ in range(121):
        with suppress(MessageRefused):
            budgets.reading("student")
    with pytest.raises(MessageRefused) as refusal:
        budgets.reading("student")
    assert refusal.value.once
    assert not refusal.value.words
