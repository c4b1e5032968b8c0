"""What holds of every record, whatever was said, sent, missed or claimed, in whatever order it is told.

200 conversations at every run; `python -m bench.properties` tries 10,000, others each time.
"""

import json
import os
from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from itertools import pairwise
from random import Random
from typing import Any, TypeVar

from hypothesis import given, settings
from hypothesis import strategies as st

from agent.session.events import Event, UtteranceHeard, from_row, iso, to_row
from agent.session.fold import Session, fold
from agent.session.own_words import WAIT
from agent.session.restore import events_of
from agent.session.words import words_of
from tests.unit.builders import TEN_O_CLOCK, info
from tests.unit.conversations import conversations
from tests.unit.test_restore import record_of

CASES = int(os.environ.get("PROPERTY_CASES", "200"))
settings.register_profile(
    "record",
    max_examples=CASES,
    deadline=None,
    database=None,
    derandomize="PROPERTY_CASES" not in os.environ,
    suppress_health_check=(),
)
record = settings.get_profile("record")
TENTH = timedelta(seconds=0.1)
SPEECH = ("transcription_unavailable", "own_words_missing")
Of = TypeVar("Of")


@record
@given(conversations(), st.integers(0, 2**16))
def test_what_holds_of_every_record(events: list[Event], order: int) -> None:
    session = fold(info(), events)
    no_heard_word_is_gone_unless_its_like_is_there(session, events)
    no_figure_is_above_what_it_is_a_part_of(session)
    speech_has_its_words_or_is_a_gap_and_a_share_of_one_means_that_all_have(session, events)
    a_record_goes_on_from_what_is_stored_of_it(session)
    neither_order_nor_repetition_nor_the_journal_changes_a_record(session, events, Random(order))


def of(events: Iterable[Event], kind: type[Of]) -> list[Of]:
    return [event for event in events if isinstance(event, kind)]


def everything_of(session: Session) -> dict[str, Any]:
    return {
        "start": session.start_time,
        "stays": list(session.stays),
        "ending": session.ending,
        "user_id": session.user_id,
        "transcript": session.transcript(),
        "quality_metrics": session.quality_metrics(),
        "gaps": session.gaps(),
        "coverage": session.coverage(),
        "last_evidence": session.last_evidence,
    }


def what(said: UtteranceHeard) -> tuple[str, str, str, str]:
    return said.identity, said.text, iso(said.at), iso(said.end)


def no_heard_word_is_gone_unless_its_like_is_there(session: Session, events: list[Event]) -> None:
    """What the rule allows: of each utterance that gave way more than 0.6 of the words, and of any four in a
    row one, are among own words within 30 s; and of all of them together, with each own word counted once.
    """
    lines = session.transcript()
    standing = Counter(
        (e["identity"], e["text"], e["timestamp"], e["end"]) for e in lines if e["source"] != "data"
    )
    said = [u for u in of(events, UtteranceHeard) if u.text]
    own = [u for u in said if u.source == "data"]
    sent = Counter((e["identity"], e["text"]) for e in lines if e["source"] == "data")
    assert sent.keys() == {(u.identity, u.text) for u in own}
    assert sent <= Counter((u.identity, u.text) for u in own)
    gone: dict[str, list[UtteranceHeard]] = {}
    for heard in (u for u in said if u.source == "whisper"):
        if standing[what(heard)]:
            standing[what(heard)] -= 1
        else:
            assert heard.track is None
            gone.setdefault(heard.identity, []).append(heard)
    assert not +standing
    for identity, dropped in gone.items():
        theirs = [u for u in own if u.identity == identity and counts(u, lines)]
        for heard in dropped:
            near = Counter(word for u in theirs if about_then(u, heard, lines) for word in words_of(u.text))
            words = words_of(heard.text)
            assert sum((Counter(words) & near).values()) > 0.6 * len(words)
            assert "xxxx" not in "".join("." if near[word] else "x" for word in words)
        lost = Counter(word for heard in dropped for word in words_of(heard.text))
        likes = Counter(word for u in theirs for word in words_of(u.text))
        assert sum((lost & likes).values()) > 0.6 * lost.total()


def written(own: UtteranceHeard, lines: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    known = own.identity, own.text, "data"
    return [line for line in lines if (line["identity"], line["text"], line["source"]) == known]


def counts(own: UtteranceHeard, lines: Sequence[dict[str, Any]]) -> bool:
    """A person's own words replace nothing unless they were heard."""
    return own.told != "person" or any(line.get("confirmed") for line in written(own, lines))


def about_then(own: UtteranceHeard, heard: UtteranceHeard, lines: Sequence[dict[str, Any]]) -> bool:
    """By the times that stand in the record."""
    earliest, latest = iso(heard.at - WAIT), iso(heard.end + WAIT)
    return any(line["timestamp"] <= latest and line["end"] >= earliest for line in written(own, lines))


def ticks(begin: Any, end: Any) -> set[int]:
    """Tenths of a second; times in the conversations are whole ones."""
    return set(range(round((begin - TEN_O_CLOCK) / TENTH), round((end - TEN_O_CLOCK) / TENTH)))


def present(session: Session, identity: str) -> set[int]:
    last = session.last_evidence or TEN_O_CLOCK
    stays = [stay for stay in session.stays if stay.joined.identity == identity]
    return {tick for stay in stays for tick in ticks(stay.joined.at, min(stay.left_at or last, last))}


def no_figure_is_above_what_it_is_a_part_of(session: Session) -> None:
    for own in session.coverage()["participants"].values():
        order = [own[name] for name in ("transcribed", "speech", "heard", "audible", "present")]
        assert order[0] >= 0
        assert all(part <= whole + 0.001 for part, whole in pairwise(order))
        assert own["transcribed"] + sum(own["missed"].values()) <= own["present"] + 0.001
        assert own["share"] is None or 0 <= own["share"] <= 1


def speech_has_its_words_or_is_a_gap_and_a_share_of_one_means_that_all_have(
    session: Session, events: list[Event]
) -> None:
    gaps = session.gaps()
    for identity, own in session.coverage()["participants"].items():
        there = present(session, identity)
        voice = [u for u in of(events, UtteranceHeard) if u.identity == identity and u.track is None]
        heard = {t for u in voice if u.source == "whisper" for t in ticks(u.at, u.end)}
        spoken = {t for u in voice if u.source == "data" and not u.text for t in ticks(u.at, u.end)} & there
        listed = {reason: ticks_of(gaps, identity, reason) for reason in {g["reason"] for g in gaps}}
        wordless = set().union(*(listed.get(reason, set()) for reason in SPEECH))
        sent = sum(len(words_of(u.text)) * 5 + 5 for u in voice if u.source == "data" and u.told != "person")
        accounted = spoken - heard - wordless
        assert len(accounted) <= sent
        missed = sum(own["missed"].values())
        assert missed <= len(set().union(*listed.values()) & there) / 10 + 0.01
        assert own["missed"].keys() <= {reason for reason, when in listed.items() if when & there}
        if own["share"] == 1:
            assert not own["missed"]
            assert not wordless & there - heard - accounted
            assert own["transcribed"] == own["speech"]


def ticks_of(gaps: Sequence[dict[str, Any]], identity: str, reason: str) -> set[int]:
    times = [
        (datetime.fromisoformat(gap["from"]), datetime.fromisoformat(gap["until"]))
        for gap in gaps
        if (gap.get("identity", identity), gap["reason"]) == (identity, reason)
        and gap["what"] != "quality"
        and "track" not in gap
    ]
    return {tick for begin, end in times for tick in ticks(begin, end)}


def neither_order_nor_repetition_nor_the_journal_changes_a_record(
    session: Session, events: list[Event], random: Random
) -> None:
    expected = everything_of(session)
    again = events + random.choices(events, k=len(events) // 2) if events else []
    random.shuffle(again)
    assert everything_of(fold(info(), again)) == expected
    rows = [json.loads(json.dumps([kind, iso(when), data])) for kind, when, data in map(to_row, again)]
    journaled = [from_row(kind, datetime.fromisoformat(when), data) for kind, when, data in rows]
    assert everything_of(fold(info(), journaled)) == expected


def a_record_goes_on_from_what_is_stored_of_it(session: Session) -> None:
    stored = json.loads(json.dumps({"transcript": session.transcript(), "gaps": session.gaps()}))
    restored = fold(info(), events_of(record_of(session) | stored))
    assert restored.transcript() == session.transcript()
    assert restored.gaps() == session.gaps()
    assert restored.ending == session.ending
    assert [s.left_at for s in restored.stays] == [s.left_at for s in session.stays]
