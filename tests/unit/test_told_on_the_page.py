"""What a person sent and nobody heard says so on the session's page."""

from dataclasses import replace

from agent.session.events import Event, UtteranceHeard
from agent.session.fold import fold
from tests.unit.builders import at, heard, info, joined, told
from web.pages.conversation import passages
from web.record import Record


def tellers_of(*said: UtteranceHeard) -> list[tuple[str, str | None]]:
    events: list[Event] = [joined(0, name="Sam"), *said]
    people = [{"identity": "student", "name": "Sam", "user_id": None}]
    record = Record({"start_time": at(0), "transcript": fold(info(), events).transcript()}, people, [])
    return [(p["text"], p["told_by"]) for p in passages(record, {}, [])]


def test_who_told_what_nobody_heard_is_named() -> None:
    own = replace(told(5, "nobody heard this"), told="person")
    assert tellers_of(heard(1, "Hello."), own) == [("Hello.", None), ("nobody heard this", "Sam")]
    assert tellers_of(replace(own, sent_by="stt-bot")) == [("nobody heard this", "stt-bot")]


def test_what_was_heard_too_and_what_an_agent_sends_is_not_doubted() -> None:
    own = replace(told(5, "we all heard this"), told="person")
    assert tellers_of(heard(4, "We all heard this."), own) == [("we all heard this", None)]
    assert tellers_of(replace(own, told="agent")) == [("we all heard this", None)]
    assert tellers_of(replace(own, told=None)) == [("we all heard this", None)]
