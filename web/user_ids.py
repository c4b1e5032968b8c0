"""User ids in requests: a UUID or a platform's own id, as its tokens have it in `sub`."""

from uuid import UUID

from fastapi import Request

from agent.session.user_ids import user_id
from web.problems import Problem


def user_named(request: Request, text: str, field: str) -> UUID:
    """The UUID that the same id in a token stands for. Raises `Problem` 422 for what names nobody."""
    named = user_id(text, request.app.state.recorder.web_user_id_namespace)
    if named is None:
        raise Problem(422, "names nobody", field=field)
    return named
