from structlog.testing import capture_logs

from agent.unheard import MOST_LINES, Unheard


def test_memory_and_lines_are_bounded() -> None:
    unheard = Unheard()
    with capture_logs() as lines:
        for number in range(10 * MOST_LINES):
            unheard.note("student-1", f"topic {number}" + "x" * 10_000)
            unheard.note(None, "")
    assert len(lines) == MOST_LINES
    assert max(len(line["topic"]) for line in lines) <= 64
    assert len(unheard._noted) == MOST_LINES


def test_a_topic_is_shown_in_one_line_whatever_is_in_it() -> None:
    with capture_logs() as lines:
        Unheard().note("student-1", "a\x1b[2J\nworker_ready\u202e")
    assert [line["topic"] for line in lines] == [r"a\x1b[2J\nworker_ready\u202e"]


def test_of_livekits_own_topics_only_words_in_the_wrong_form_are_told() -> None:
    unheard = Unheard()
    with capture_logs() as lines:
        for topic in ("lk.chat", "lk-chat-topic", "lk.agent.session", "lk.transcription"):
            unheard.note("student-1", topic)
    assert [(line["topic"], line["reason"]) for line in lines] == [("lk.transcription", "not a text stream")]
