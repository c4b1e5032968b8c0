"""Text streams that belong together, in the orders in which LiveKit's agents send them."""

import json

import pytest

from agent.segments import Segment, Segments
from agent.text_streams import plain
from tests.unit.builders import TEN_O_CLOCK, at


class Sender:
    """Streams of one identity; `said`: what became of them, with the seconds from begin to end."""

    def __init__(self) -> None:
        self.said: list[tuple[str, float, float]] = []
        self.segments = Segments(self._complete)

    def opens(self, seconds: float, segment_id: str = "SG_1", identity: str = "student") -> Segment:
        return self.segments.opened(identity, segment_id, at(seconds))

    def sends(self, seconds: float, text: str, segment_id: str = "SG_1", *, final: bool = False) -> None:
        """A stream that is over at once."""
        self.segments.ended(self.opens(seconds, segment_id), text, at(seconds), final=final)

    def _complete(self, segment: Segment) -> None:
        begin, end = ((moment - TEN_O_CLOCK).total_seconds() for moment in (segment.began, segment.until))
        self.said.append((segment.text, begin, end))


@pytest.fixture
def sender() -> Sender:
    return Sender()


def test_a_delta_stream_lasts_from_its_opening_to_its_last_word(sender: Sender) -> None:
    stream = sender.opens(1)
    assert sender.said == []
    sender.segments.ended(stream, "Welcome back.", at(4), final=True)
    assert sender.said == [("Welcome back.", 1, 4)]


def test_a_final_replaces_all_interims_and_begins_with_the_first(sender: Sender) -> None:
    sender.sends(1, "I")
    sender.sends(2, "I thing")
    sender.sends(3, "I think so.", final=True)
    assert sender.said == [("I think so.", 1, 3)]


def test_the_last_interim_counts_when_its_sender_is_gone(sender: Sender) -> None:
    sender.sends(1, "I")
    sender.sends(2, "I think")
    sender.segments.no_more_from("counselor")
    assert sender.said == []
    sender.segments.no_more_from("student")
    assert sender.said == [("I think", 1, 2)]


def test_the_last_interim_counts_when_the_room_is_gone(sender: Sender) -> None:
    sender.sends(1, "I think")
    sender.segments.no_more()
    assert sender.said == [("I think", 1, 1)]


def test_the_last_interim_counts_when_the_next_segment_begins(sender: Sender) -> None:
    sender.sends(1, "I think")
    sender.opens(5, "SG_2")
    assert sender.said == [("I think", 1, 1)]


def test_a_segment_of_somebody_else_ends_none(sender: Sender) -> None:
    sender.sends(1, "I think")
    sender.opens(2, "SG_2", "counselor")
    sender.sends(3, "I think so.", final=True)
    assert sender.said == [("I think so.", 1, 3)]


def test_a_segment_still_being_read_is_not_ended_by_the_next(sender: Sender) -> None:
    first = sender.opens(1)
    sender.sends(2, "And more", "SG_2", final=True)
    sender.segments.ended(first, "All of it.", at(3), final=False)
    assert sender.said == [("And more", 2, 2), ("All of it.", 1, 3)]


def test_what_was_read_of_a_delta_stream_that_breaks_off_counts(sender: Sender) -> None:
    sender.segments.broke_off(sender.opens(1), "Let me expl", at(3))
    sender.segments.no_more_from("student")
    assert sender.said == [("Let me expl", 1, 3)]


def test_an_interim_that_breaks_off_does_not_replace_a_whole_one(sender: Sender) -> None:
    sender.sends(1, "I think so")
    sender.segments.broke_off(sender.opens(2), "I th", at(2))
    sender.segments.no_more_from("student")
    assert sender.said == [("I think so", 1, 1)]


def test_a_final_replaces_an_interim_that_broke_off_when_its_speaker_left(sender: Sender) -> None:
    sender.segments.broke_off(sender.opens(1), "I ha", at(1))
    sender.sends(2, "I have to go.", final=True)
    assert sender.said == [("I have to go.", 1, 2)]


def test_an_interim_that_comes_late_changes_nothing(sender: Sender) -> None:
    sender.sends(1, "I think so.", final=True)
    sender.sends(2, "I think")
    sender.segments.no_more()
    assert sender.said == [("I think so.", 1, 1)]


def test_a_further_final_tells_the_segment_anew_from_when_it_began(sender: Sender) -> None:
    sender.sends(1, "I")
    sender.sends(2, "I think so", final=True)
    sender.sends(9, "Well", "SG_2", final=True)
    sender.sends(60, "I think so, yes.", final=True)
    sender.segments.no_more()
    assert sender.said == [("I think so", 1, 2), ("Well", 9, 9), ("I think so, yes.", 1, 60)]


def test_a_program_that_begins_anew_may_count_its_segments_anew(sender: Sender) -> None:
    sender.sends(1, "I think so.", "1", final=True)
    sender.sends(200, "And how", "1")
    sender.sends(201, "And how are you?", "1", final=True)
    assert sender.said == [("I think so.", 1, 1), ("And how are you?", 200, 201)]


def test_a_final_replaces_the_interim_that_stood_for_it(sender: Sender) -> None:
    sender.sends(1, "I think")
    sender.opens(2, "SG_2")
    sender.sends(3, "I think so.", final=True)
    assert sender.said == [("I think", 1, 1), ("I think so.", 1, 3)]


def test_segments_without_end_are_not_remembered_without_end(sender: Sender) -> None:
    for number in range(3_000):
        sender.sends(number, "Well", f"SG_{number}", final=True)
    remembered = sender.segments.__dict__
    assert max(len(kept) for kept in remembered.values() if hasattr(kept, "__len__")) <= 1_000


def test_a_stream_without_words_says_nothing(sender: Sender) -> None:
    sender.sends(1, "", final=True)
    assert sender.said == []


def test_a_dropped_stream_ends_nothing_and_says_nothing(sender: Sender) -> None:
    sender.segments.dropped(sender.opens(1))
    sender.segments.no_more()
    assert sender.said == []


def test_pieces_in_json_are_one_text() -> None:
    pieces = [{"text": "Welcome ", "start_time": 0.1}, {"text": "back.", "start_time": 0.6, "end_time": 0.9}]
    assert plain("".join(json.dumps(piece) + "\n" for piece in pieces)) == "Welcome back."


@pytest.mark.parametrize(
    "text",
    [
        "Two lines,\nno JSON.",
        '{"text": "a piece"}\nand no piece',
        '{"text": 7}',
        '{"text": "hello", "of": "somebody who dictates JSON"}',
        '{"text": "torn',
    ],
)
def test_what_is_not_all_pieces_of_json_is_plain_text(text: str) -> None:
    assert plain(text) == text


def test_a_text_is_kept_without_what_the_database_cannot_hold() -> None:
    assert plain(" hello\x00 \ud83dthere \n") == "hello there"
