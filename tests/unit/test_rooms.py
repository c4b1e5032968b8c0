import json
from typing import Any
from uuid import UUID, uuid5

import pytest

from agent.session.events import Role
from agent.session.rooms import (
    ROOM_SID_NAMESPACE,
    SessionInfo,
    role_of,
    session_info,
    speaker_of,
    storable,
    user_id_of,
)
from agent.session.user_ids import DEFAULT_NAMESPACE

IN_METADATA = "11111111-1111-4111-8111-111111111111"
IN_NAME = "22222222-2222-4222-8222-222222222222"
USER = "33333333-3333-4333-8333-333333333333"


def info_of(name: str = f"coaching-{IN_NAME}", /, **metadata: Any) -> tuple[SessionInfo, list[str]]:
    return session_info(name, "RM_1", json.dumps(metadata) if metadata else "", "coaching-")


def test_the_metadata_name_the_session_first() -> None:
    info, problems = info_of(session_id=IN_METADATA)
    assert (info.session_id, problems) == (UUID(IN_METADATA), [])


def test_else_the_rooms_name_does() -> None:
    info, problems = info_of()
    assert (info.session_id, problems) == (UUID(IN_NAME), [])


def test_else_the_rooms_sid_does_always_in_the_same_way() -> None:
    info, problems = info_of("coaching-tuesday")
    assert (info.session_id, problems) == (uuid5(ROOM_SID_NAMESPACE, "RM_1"), [])
    assert session_info("coaching-tuesday", "RM_2", "", "coaching-")[0].session_id != info.session_id


@pytest.mark.parametrize(
    ("name", "metadata", "source"),
    [
        (f"coaching-{IN_NAME}", json.dumps({"session_id": IN_METADATA}), "metadata"),
        (f"coaching-{IN_NAME}", json.dumps({"session_id": "not a UUID"}), "name"),
        (f"coaching-{IN_NAME}", json.dumps({"layout": "grid"}), "name"),
        ("coaching-tuesday", json.dumps({"layout": "grid"}), "sid"),
        ("coaching-tuesday", "{not JSON", "sid"),
    ],
)
def test_it_is_known_where_the_session_is_named(name: str, metadata: str, source: str) -> None:
    assert session_info(name, "RM_1", metadata, "coaching-")[0].id_from == source


def test_without_a_prefix_the_whole_name_may_be_the_session() -> None:
    assert session_info(IN_NAME, "RM_1", "", "")[0].session_id == UUID(IN_NAME)


def test_a_malformed_session_id_gives_way_to_the_name_and_is_told() -> None:
    info, problems = info_of(session_id="tuesday")
    assert info.session_id == UUID(IN_NAME)
    assert problems == ["session_id is not a UUID"]


def test_everything_the_metadata_may_say_is_taken() -> None:
    info, problems = info_of(
        session_id=IN_METADATA, user_id=USER, counselor_category="career", mode="voice", anything="else"
    )
    assert problems == []
    assert info == SessionInfo(
        UUID(IN_METADATA), f"coaching-{IN_NAME}", "RM_1", UUID(USER), "career", "voice"
    )


def test_a_room_without_metadata_is_a_video_session_of_nobody() -> None:
    info, problems = info_of()
    assert (info.user_id, info.counselor_category, info.mode, problems) == (None, None, "video", [])


@pytest.mark.parametrize("unset", ["session_id", "user_id", "counselor_category", "mode"])
def test_null_in_the_metadata_is_as_good_as_nothing(unset: str) -> None:
    metadata: dict[str, Any] = {unset: None}
    assert info_of(**metadata) == info_of()


@pytest.mark.parametrize(
    ("metadata", "problem"),
    [
        ("{", "not JSON"),
        ("coaching", "not JSON"),
        ("[" * 100_000, "not JSON"),
        ("1" * 5_000, "not JSON"),
        ("[]", "not a JSON object"),
        ("null", "not a JSON object"),
        ('"text"', "not a JSON object"),
        ("17", "not a JSON object"),
        ('{"user_id": " "}', "user_id is not a user's id"),
        ('{"user_id": 17}', "user_id is not a user's id"),
        ('{"session_id": ["x"]}', "session_id is not a UUID"),
        ('{"counselor_category": {"a": 1}}', "counselor_category is not text"),
        ('{"counselor_category": 17}', "counselor_category is not text"),
        ('{"mode": "hologram"}', "mode is neither video nor voice"),
        ('{"mode": 1}', "mode is neither video nor voice"),
        ('{"mode": false}', "mode is neither video nor voice"),
    ],
)
def test_malformed_metadata_are_told_and_ignored(metadata: str, problem: str) -> None:
    info, problems = session_info(f"coaching-{IN_NAME}", "RM_1", metadata, "coaching-")
    assert problems == [problem]
    assert info == info_of()[0]


@pytest.mark.parametrize("mode", [["voice"], {"voice": 1}])
def test_a_mode_that_is_a_list_or_an_object_is_told_and_ignored(mode: object) -> None:
    info, problems = info_of(mode=mode)
    assert (info.mode, problems) == ("video", ["mode is neither video nor voice"])


@pytest.mark.parametrize("blank", ["", "  ", "\n"])
def test_blank_metadata_are_no_problem(blank: str) -> None:
    assert session_info("coaching-tuesday", "RM_1", blank, "coaching-")[1] == []


def test_every_problem_is_told_and_the_rest_of_the_metadata_kept() -> None:
    info, problems = info_of(session_id=1, user_id=2, counselor_category=3, mode="voice")
    assert len(problems) == 3
    assert info.mode == "voice"


def test_problems_do_not_quote_what_was_said() -> None:
    _, problems = info_of(
        session_id="hunter2", user_id=["hunter2"], counselor_category=["hunter2"], mode="hunter2"
    )
    assert len(problems) == 4
    assert "hunter2" not in str(problems)


@pytest.mark.parametrize(
    ("identity", "attribute", "metadata", "role"),
    [
        ("counselor-1", "student", '{"role": "counselor"}', "student"),
        ("student-1", "counselor", "", "counselor"),
        ("student-1", None, '{"role": "counselor"}', "counselor"),
        ("student-1", "admin", '{"role": "counselor"}', "counselor"),
        ("student-1", None, '{"role": "admin"}', "student"),
        ("student-1", None, '{"role": ["counselor"]}', "student"),
        ("student-1", None, "{", "student"),
        ("student-1", None, "[]", "student"),
        ("counselor", None, "", "counselor"),
        ("ada", None, "", "participant"),
        ("a student", None, "", "participant"),
        ("Student-1", None, "", "participant"),
        ("ada", "Student", "", "participant"),
        ("ada", "", "", "participant"),
    ],
)
def test_a_role_is_the_attribute_else_the_metadata_else_how_the_identity_begins(
    identity: str, attribute: str | None, metadata: str, role: Role
) -> None:
    assert role_of(identity, {} if attribute is None else {"role": attribute}, metadata) == role


def test_a_student_speaks_as_the_user() -> None:
    assert [speaker_of(role) for role in ("student", "counselor", "participant")] == [
        "user",
        "counselor",
        "participant",
    ]


@pytest.mark.parametrize(
    ("identity", "attribute", "role"),
    [
        ("agent-AJ_x", None, "counselor"),
        ("agent-AJ_x", "student", "student"),
        ("student-avatar", None, "student"),
        (IN_NAME, None, "counselor"),
    ],
)
def test_an_agent_is_the_counselor_unless_something_else_is_said(
    identity: str, attribute: str | None, role: Role
) -> None:
    assert role_of(identity, {} if attribute is None else {"role": attribute}, "", is_agent=True) == role


@pytest.mark.parametrize(
    ("identity", "attributes", "user_id"),
    [
        ("ada", {"user_id": USER}, USER),
        (IN_NAME, {"user_id": USER}, USER),
        (IN_NAME, {}, IN_NAME),
        (IN_NAME, {"user_id": ""}, IN_NAME),
        (IN_NAME, {"user_id": "user_2abc"}, str(uuid5(DEFAULT_NAMESPACE, "user_2abc"))),
        ("student-1", {}, None),
        ("user_2abc", {}, None),
        (USER.upper(), {}, USER),
        (USER.replace("-", ""), {}, USER),
        (f"{{{USER}}}", {}, None),  # the web part takes it for a platform's own, too
    ],
)
def test_a_user_id_is_the_attribute_else_the_identity_where_it_is_a_uuid(
    identity: str, attributes: dict[str, str], user_id: str | None
) -> None:
    assert user_id_of(identity, attributes) == user_id


def test_an_identity_that_stands_for_the_rooms_user_is_their_user_id() -> None:
    platforms_own = uuid5(DEFAULT_NAMESPACE, "user_2abc")
    assert user_id_of("user_2abc", {}, student=platforms_own) == str(platforms_own)
    assert user_id_of("user_2abc", {"user_id": USER}, student=platforms_own) == USER
    assert user_id_of("user_2abd", {}, student=platforms_own) is None


def test_metadata_that_come_later_bring_what_they_tell_and_take_nothing_away() -> None:
    first, _ = info_of(user_id=USER, counselor_category="career", mode="voice")
    empty, _ = info_of()
    assert first.updated(empty) == first
    assert (first.updated(empty).mode, first.updated(empty).mode_known) == ("voice", True)
    later, _ = info_of(session_id=IN_METADATA, user_id=IN_NAME, counselor_category="college", mode="video")
    updated = first.updated(later)
    assert (updated.user_id, updated.counselor_category, updated.mode) == (UUID(IN_NAME), "college", "video")
    assert updated.session_id == first.session_id  # bound once


def test_what_postgresql_cannot_hold_is_left_out_and_nothing_else() -> None:
    assert storable("a\x00b\ud800c\udfffd") == "abcd"
    ordinary = "Tab\t, line\n, é, 中文, 🙂, \ue000, \ufffd"
    assert storable(ordinary) == ordinary


def test_names_and_categories_are_storable() -> None:
    info, _ = session_info(
        "coaching-\x00x", "RM_1", '{"counselor_category": "a\\u0000b\\ud800"}', "coaching-"
    )
    assert (info.room_name, info.counselor_category) == ("coaching-x", "ab")
