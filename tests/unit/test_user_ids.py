from uuid import UUID, uuid5

import pytest

from agent.session.user_ids import DEFAULT_NAMESPACE, LONGEST, user_id

A_UUID = UUID("5b1e0a3c-93a1-4f0a-8c51-0e9f2c3d4e5f")


@pytest.mark.parametrize("text", [str(A_UUID), str(A_UUID).upper(), A_UUID.hex])
def test_a_uuid_stays_as_it_is(text: str) -> None:
    assert user_id(text) == A_UUID


@pytest.mark.parametrize(
    "text", ["user_2abc", "auth0|5f7c", "42", "sam@example.org", "Ünïcode", "x" * LONGEST]
)
def test_any_other_id_becomes_the_uuid_of_the_namespace_and_it(text: str) -> None:
    assert user_id(text) == uuid5(DEFAULT_NAMESPACE, text)


def test_the_mapping_never_changes_from_one_release_to_the_next() -> None:
    assert user_id("user_2abc") == UUID("9edcf934-7b61-596d-b967-ac528c23fee8")


def test_platforms_with_namespaces_of_their_own_do_not_meet() -> None:
    assert user_id("42", A_UUID) == uuid5(A_UUID, "42") != user_id("42")


@pytest.mark.parametrize(
    "text",
    [
        f"{{{A_UUID}}}",
        f"urn:uuid:{A_UUID}",
        A_UUID.hex.replace("93", "9_3")[:32],
        f" {A_UUID}",
        f"{A_UUID}\n",
    ],
)
def test_what_only_resembles_a_uuid_is_an_id_of_its_own(text: str) -> None:
    """Else two of a platform's users might be one here."""
    assert user_id(text) == uuid5(DEFAULT_NAMESPACE, text) != A_UUID


@pytest.mark.parametrize(
    "text", [None, 42, ["a"], {"a": 1}, b"a", True, "", "  ", "\n", "x" * (LONGEST + 1), "\ud800"]
)
def test_what_names_nobody_is_nobody(text: object) -> None:
    assert user_id(text) is None
