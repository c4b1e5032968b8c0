"""What participants may send: the form of it, before it becomes an event."""

import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from agent.message_forms import MAX_BYTES, MAX_TEXT, QualityMessage, TranscriptMessage, checked, parsed
from agent.session.errors import MessageRefused

SECRET = "hunter2"
READING = {"track_sid": "TR_1", "bitrate_kbps": 1000.0}
TEN_TWENTY_THIRTY = datetime(2026, 1, 31, 10, 20, 30, tzinfo=UTC)


def transcript(**fields: Any) -> TranscriptMessage:
    return checked(TranscriptMessage, parsed(json.dumps(fields).encode()))


def quality(**fields: Any) -> QualityMessage:
    return checked(QualityMessage, parsed(json.dumps(READING | fields).encode()))


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(SECRET.encode(), id="no JSON"),
        pytest.param(b'{"text": "hunter2"', id="torn"),
        pytest.param(b'{"text": "hunter2"} {}', id="two at once"),
        pytest.param(b'{"text": "hunter2\xff"}', id="invalid UTF-8"),
        pytest.param(b"\xff\xfehunter2", id="no UTF-8 at all"),
        pytest.param(b'{"text": "hunter2\n"}', id="a control character"),
        pytest.param(b"[" * MAX_BYTES, id="deep list"),
        pytest.param(b'{"hunter2":' * 1_400, id="deep object"),
        pytest.param(b'{"text": ' + b"9" * 5_000 + b"}", id="a number of 5000 digits"),
        pytest.param(b"null", id="null"),
        pytest.param(b'["hunter2"]', id="a list"),
        pytest.param(b'"hunter2"', id="a text"),
        pytest.param(b"17", id="a number"),
        pytest.param(b'{"text": "' + b"x" * MAX_BYTES + b'"}', id="too large"),
        pytest.param(b" " * MAX_BYTES + b"{}", id="mostly blank"),
    ],
)
def test_what_is_no_json_object_of_at_most_256_kib_is_refused_without_being_quoted(data: bytes) -> None:
    with pytest.raises(MessageRefused) as refusal:
        parsed(data)
    assert str(refusal.value) in {"not JSON", "not a JSON object", "larger than 256 KiB"}
    assert refusal.value.__suppress_context__ or refusal.value.__context__ is None


def test_exactly_256_kib_are_not_too_large() -> None:
    text = "x" * (MAX_BYTES - len('{"text": ""}'))
    data = json.dumps({"text": text}).encode()
    assert len(data) == MAX_BYTES
    assert parsed(data) == {"text": text}


def test_a_text_is_limited_and_what_a_program_wraps_it_in_is_not() -> None:
    words = [
        {"text": f"word{n}", "start": n / 2, "end": n / 2 + 0.4, "confidence": 0.9871234} for n in range(230)
    ]
    assert len(json.dumps(words)) > MAX_TEXT
    assert transcript(text="x" * MAX_TEXT, words=words).text == "x" * MAX_TEXT


@pytest.mark.parametrize("text", ["x" * (MAX_TEXT + 1), "\u00e9" * (MAX_TEXT // 2 + 1)])
def test_a_text_that_is_too_long_is_refused_as_words(text: str) -> None:
    with pytest.raises(MessageRefused, match=r"^text larger than 16 KiB$") as refusal:
        transcript(text=text)
    assert refusal.value.words


def test_what_has_no_words_is_refused_as_none() -> None:
    with pytest.raises(MessageRefused) as refusal:
        transcript(text="  ", timestamp="yesterday")
    assert not refusal.value.words
    with pytest.raises(MessageRefused) as refusal:
        transcript(text="hello", timestamp="yesterday")
    assert refusal.value.words


@pytest.mark.parametrize(
    "text",
    ["", "  ", "\n\t", "\x00", " \x00\x00 ", None, 17, True, ["hunter2"], {"hunter2": "hunter2"}],
    ids=repr,
)
def test_a_text_without_words_is_refused(text: object) -> None:
    with pytest.raises(MessageRefused, match=r"^wrong fields: text$"):
        transcript(text=text)


def test_half_a_letter_is_never_kept_and_costs_nothing_else() -> None:
    assert transcript(text="hello \ud83d\x00there \ud83d").text == "hello there"


def test_half_a_letter_alone_is_no_text() -> None:
    with pytest.raises(MessageRefused, match=r"^wrong fields: text$"):
        transcript(text=" \ud83d ")


@pytest.mark.parametrize(
    ("tag", "language"), [("en", "en"), ("EN", "en"), ("de-AT", "de"), ("zh-Hans-CN", "zh"), (None, None)]
)
def test_a_language_is_kept_as_its_first_part(tag: str | None, language: str | None) -> None:
    assert transcript(text="hello", language=tag).language == language


@pytest.mark.parametrize("tag", [SECRET, "", "english language", "e", "en_US", 7, True, ["en"]])
def test_a_language_that_is_none_is_refused(tag: object) -> None:
    with pytest.raises(MessageRefused, match=r"^wrong fields: language$"):
        transcript(text="hello", language=tag)


def test_a_message_without_text_is_refused() -> None:
    with pytest.raises(MessageRefused, match="text"):
        transcript(timestamp="2026-01-31T10:20:30Z")


@pytest.mark.parametrize("speaker", [SECRET, "student", "", 1, True, ["user"]])
def test_a_speaker_that_a_transcript_does_not_know_is_refused(speaker: object) -> None:
    with pytest.raises(MessageRefused, match=r"^wrong fields: speaker$"):
        transcript(text="hello", speaker=speaker)


@pytest.mark.parametrize(
    "timestamp",
    [
        SECRET,
        "",
        "now",
        "2026-13-31T10:20:30Z",
        "2026-01-31T25:20:30Z",
        True,
        [],
        {},
        float("nan"),
        float("inf"),
        float("-inf"),
        1e308,
        10**400,
        -(10**400),
        253_402_300_800_000,  # ms; the year 10000
    ],
    ids=lambda t: repr(t)[:20],
)
def test_a_timestamp_that_is_none_is_refused(timestamp: object) -> None:
    with pytest.raises(MessageRefused, match=r"^wrong fields: (timestamp)?$"):
        transcript(text="hello", timestamp=timestamp)


@pytest.mark.parametrize(
    ("timestamp", "moment"),
    [
        ("2026-01-31T10:20:30Z", TEN_TWENTY_THIRTY),
        ("2026-01-31T10:20:30", TEN_TWENTY_THIRTY),  # naive: taken for UTC
        ("2026-01-31 10:20:30", TEN_TWENTY_THIRTY),
        ("2026-01-31T15:50:30+05:30", TEN_TWENTY_THIRTY),
        ("2026-01-31T10:20:30.123Z", TEN_TWENTY_THIRTY + timedelta(milliseconds=123)),
        (1_769_854_830, TEN_TWENTY_THIRTY),
        (1_769_854_830.123, TEN_TWENTY_THIRTY + timedelta(milliseconds=123)),
        (1_769_854_830_123, TEN_TWENTY_THIRTY + timedelta(milliseconds=123)),
        (0, datetime(1970, 1, 1, tzinfo=UTC)),
        (None, None),
    ],
)
def test_a_timestamp_is_iso_8601_or_seconds_or_milliseconds_since_1970(
    timestamp: object, moment: datetime | None
) -> None:
    assert transcript(text="hello", timestamp=timestamp).timestamp == moment


@pytest.mark.parametrize("timestamp", ["9999-12-31T23:59:59-23:59", "0001-01-01T00:00:00+23:59"])
def test_a_timestamp_at_the_end_of_all_days_can_be_compared(timestamp: str) -> None:
    moment = transcript(text="hello", timestamp=timestamp).timestamp
    assert moment is not None
    assert abs(moment - TEN_TWENTY_THIRTY) > timedelta(days=365)


@pytest.fixture
def _in_kolkata() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TZ", "Asia/Kolkata")
        time.tzset()
        yield
    time.tzset()


@pytest.mark.usefixtures("_in_kolkata")
def test_a_naive_timestamp_does_not_depend_on_where_we_are() -> None:
    assert transcript(text="hello", timestamp="2026-01-31T10:20:30").timestamp == TEN_TWENTY_THIRTY


def test_words_lose_the_blanks_around_them_and_nothing_else() -> None:
    assert transcript(text=" \n two  words ").text == "two  words"


def test_fields_that_nobody_asked_for_are_ignored() -> None:
    message = transcript(text="hello", speaker="user", identity="somebody else", source="whisper")
    assert message.model_dump(exclude_none=True) == {"text": "hello", "speaker": "user"}


def test_a_reading_may_tell_little() -> None:
    assert quality().model_dump(exclude_none=True) == READING | {"source": "unknown", "seconds": 10.0}


def test_a_reading_may_tell_everything() -> None:
    everything: dict[str, Any] = {
        "source": "camera",
        "seconds": 2.5,
        "fps": 0,
        "packets_lost": 0,
        "packets_received": 2**31 - 1,
        "jitter_ms": 1.5,
        "round_trip_ms": 20,
        "width": 1280,
        "height": 720,
        "packets_lost_upstream": 2,
        "packets_repaired": 1,
        "concealed_percentage": 0.5,
        "mos": 4.3,
        "freeze_count": 1,
        "freeze_seconds": 0.4,
    }
    assert quality(**everything).model_dump() == READING | everything


NO_NUMBERS: tuple[object, ...] = (
    SECRET,
    "1",
    True,
    False,
    [],
    {},
    -1,
    float("nan"),
    float("inf"),
    float("-inf"),
    10**400,
    1e300,
)


@pytest.mark.parametrize("value", NO_NUMBERS, ids=lambda v: repr(v)[:20])
@pytest.mark.parametrize(
    "field",
    [
        "bitrate_kbps",
        "fps",
        "seconds",
        "jitter_ms",
        "round_trip_ms",
        "packets_lost",
        "packets_received",
        "width",
        "height",
    ],
)
def test_a_figure_that_is_no_plausible_number_is_refused(field: str, value: object) -> None:
    with pytest.raises(MessageRefused, match=rf"^wrong fields: ({field})?$"):
        quality(**{field: value})


@pytest.mark.parametrize("field", ["packets_lost", "packets_received", "width", "height"])
@pytest.mark.parametrize("value", [0.5, 1.0, 2**31, 2**63, 2**64])
def test_a_count_is_a_whole_number_that_the_database_can_hold(field: str, value: float) -> None:
    with pytest.raises(MessageRefused, match=rf"^wrong fields: {field}$"):
        quality(**{field: value})


@pytest.mark.parametrize("seconds", [0, 120.5])
def test_an_interval_lasts_more_than_nothing_and_at_most_two_minutes(seconds: float) -> None:
    with pytest.raises(MessageRefused, match="seconds"):
        quality(seconds=seconds)


@pytest.mark.parametrize("field", ["track_sid", "bitrate_kbps"])
def test_a_reading_without_a_track_or_a_bitrate_is_refused(field: str) -> None:
    with pytest.raises(MessageRefused, match=field):
        quality(**{field: None})


@pytest.mark.parametrize("source", ["hunter2" * 5, 1, None, ["camera"]])
def test_a_source_is_a_short_text(source: object) -> None:
    with pytest.raises(MessageRefused, match=r"^wrong fields: source$"):
        quality(source=source)


def test_a_refusal_names_every_wrong_field_and_no_value() -> None:
    with pytest.raises(MessageRefused) as refusal:
        quality(track_sid=[SECRET], source={SECRET: 1}, fps=SECRET, **{SECRET: SECRET})
    assert str(refusal.value) == "wrong fields: fps, source, track_sid"
