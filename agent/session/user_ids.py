"""User ids: a platform's own (`user_2abc`, `auth0|123`) as UUIDs, in the web part and the recorder alike."""

import re
from uuid import UUID, uuid5

DEFAULT_NAMESPACE = UUID("b54c21bd-6e80-5ad5-b2b7-6e3f4a1f6f4e")
LONGEST = 256  # characters
# Not all that `UUID()` takes, such as underscores and braces: two ids must not become one by spelling.
_UUID = re.compile(
    r"[0-9a-f]{8}(-?)[0-9a-f]{4}\1[0-9a-f]{4}\1[0-9a-f]{4}\1[0-9a-f]{12}", re.IGNORECASE | re.ASCII
)


def as_uuid(text: str) -> UUID | None:
    """The UUID that a text is, in one of its usual spellings; None for any other text."""
    return UUID(text) if _UUID.fullmatch(text) else None


def user_id(text: object, namespace: UUID = DEFAULT_NAMESPACE) -> UUID | None:
    """The UUID that stands for a user id: a UUID as it is, other text as the UUIDv5 of the namespace and it.

    None for what names nobody: no text, blank, longer than `LONGEST`, or not Unicode (a lone surrogate).
    """
    if not isinstance(text, str) or len(text) > LONGEST or not text.strip():
        return None
    try:
        return as_uuid(text) or uuid5(namespace, text)
    except UnicodeEncodeError:
        return None
