"""A transcript as text, WebVTT and SubRip."""

from dataclasses import replace

from agent.session.fold import fold
from agent.session.subtitles import subrip, text, webvtt
from tests.unit.builders import at, heard, info, joined, told

NAMES = {"student": "Sam", "counselor": ""}


def transcript(*said: object) -> list[dict[str, str]]:
    return fold(info(), [joined(0), joined(0, "counselor", role="counselor"), *said]).transcript()  # type: ignore[list-item]


def test_each_format_names_the_speaker_and_counts_from_the_start() -> None:
    words = transcript(heard(1.5, "Hello.", lasting=2), heard(3661.25, "Bye.", "counselor", lasting=2))
    assert text(words, at(0), NAMES) == "[00:00:01] Sam: Hello.\n[01:01:01] counselor: Bye.\n"
    assert webvtt(words, at(0), NAMES) == (
        "WEBVTT\n\n"
        "00:00:01.500 --> 00:00:03.500\n<v Sam>Hello.</v>\n\n"
        "01:01:01.250 --> 01:01:03.250\n<v counselor>Bye.</v>\n\n"
    )
    assert subrip(words, at(0), NAMES) == (
        "1\n00:00:01,500 --> 00:00:03,500\nSam: Hello.\n\n"
        "2\n01:01:01,250 --> 01:01:03,250\ncounselor: Bye.\n\n"
    )


def test_what_a_client_told_says_whose_client_where_it_is_not_the_speakers() -> None:
    words = [{**entry, "told_by": "user-1"} for entry in transcript(heard(1, "Hello.", lasting=2))]
    for tellers, who in (
        ({}, "Sam (told)"),
        ({"user-1": "Sam"}, "Sam (told)"),
        ({"user-1": "Kim\n-->"}, "Sam (told by Kim ->)"),
    ):
        assert text(words, at(0), NAMES, tellers) == f"[00:00:01] {who}: Hello.\n"


def test_what_a_person_sent_and_nobody_heard_says_so() -> None:
    own = replace(told(1, "Hello."), told="person")
    of_a_bot = replace(own, sent_by="counselor")
    agents = replace(own, told="agent")
    for said, who in ((own, "Sam (told)"), (of_a_bot, "Sam (told by counselor)"), (agents, "Sam")):
        assert text(transcript(said), at(0), NAMES) == f"[00:00:01] {who}: Hello.\n"
    confirmed = transcript(own, heard(0.5, "Hello."))
    assert text(confirmed, at(0), NAMES) == "[00:00:01] Sam: Hello.\n"


def test_words_cannot_break_out_of_their_cue() -> None:
    words = transcript(heard(1, "a\n\n00:00 --> 00:09\n<b>&", lasting=2))
    assert webvtt(words, at(0), NAMES).endswith("\n<v Sam>a 00:00 -&gt; 00:09 &lt;b&gt;&amp;</v>\n\n")
    assert subrip(words, at(0), NAMES).count("-->") == 1


def test_what_was_sent_without_an_end_stays_readable_for_a_second() -> None:
    assert "00:00:02.000 --> 00:00:03.000" in webvtt(transcript(told(2, "x")), at(0), NAMES)


def test_what_was_said_before_the_start_is_at_the_start() -> None:
    assert "00:00:00.000 --> 00:00:01.000" in webvtt(transcript(heard(-3, "early", lasting=1)), at(0), NAMES)


def test_an_empty_transcript_is_a_valid_file() -> None:
    assert (text([], at(0), {}), webvtt([], at(0), {}), subrip([], at(0), {})) == ("", "WEBVTT\n\n", "")
