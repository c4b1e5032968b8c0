"""However much is sent: what the record holds of it can be written."""

import json
from dataclasses import replace

from agent.session.bounds import MOST, beyond
from agent.session.events import Event
from agent.session.fold import fold
from tests.unit.builders import heard, info, joined, told

LONG = "blah " * 3200


def test_what_was_heard_and_what_others_sent_stays_when_one_sends_too_much() -> None:
    flood: list[Event] = [told(n / 10, LONG, "guest") for n in range(19_000)]  # 300 MB
    said: list[Event] = [heard(5, "Hello there."), told(9, "My own words."), heard(20, "And I too.", "guest")]
    session = fold(info(), [joined(0), joined(0, "guest", role="participant"), *said, *flood])
    lines = session.transcript()
    assert sum(len(json.dumps(line)) for line in lines) < MOST
    assert {"Hello there.", "My own words.", "And I too."} <= {line["text"] for line in lines}
    kept = sum(line["text"] == LONG for line in lines)
    assert 400 < kept < 600
    (gap,) = session.gaps()
    assert (gap["reason"], gap["identity"]) == ("own_words_refused", "guest")
    assert gap["until"] == "2026-01-31T10:31:39.900Z"


def test_who_sends_little_loses_nothing_to_who_sends_much() -> None:
    one, other = told(1, "x" * 100), [told(n, "y" * 100, "other") for n in range(9)]
    of_a_bot = replace(told(1, "z" * 900), sent_by="other")
    too_much = beyond([one, *other, of_a_bot], most=5000)
    assert id(one) not in too_much
    assert id(of_a_bot) in too_much
    assert beyond([one, *other], most=10**6) == set()
    assert beyond([], most=1) == set()
