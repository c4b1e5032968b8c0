"""Signing in with a token: a link, or a form. The token itself is the cookie, for as long as it is valid."""

import time
from typing import Annotated
from urllib.parse import parse_qs

from fastapi import APIRouter, Query, Request
from fastapi.responses import RedirectResponse, Response

from web.auth import cookie_name, require_our_page
from web.pages.rendering import page
from web.problems import Problem

router = APIRouter(include_in_schema=False)
HOME = "/session-history"


@router.get("/sign-in")
async def sign_in(
    request: Request,
    token: Annotated[str, Query(max_length=8192)] = "",
    to: Annotated[str, Query(alias="next", max_length=512)] = HOME,
) -> Response:
    """With a token in the link, at once; else a form for one."""
    if token and request.app.state.settings.web_sign_in_links:
        return await _signed_in(request, token, to)
    return page("sign_in.html", next=_local(to), problem="", viewer=None)


@router.post("/sign-in")
async def sign_in_by_form(request: Request) -> Response:
    require_our_page(request)
    form = parse_qs((await request.body()).decode(errors="replace"))
    return await _signed_in(request, form.get("token", [""])[0].strip(), form.get("next", [HOME])[0])


@router.post("/sign-out")
async def sign_out(request: Request) -> Response:
    require_our_page(request)
    answer = RedirectResponse("/sign-in", 303)
    answer.delete_cookie(
        cookie_name(request.app.state.settings),
        secure=request.app.state.settings.secure,
        httponly=True,
        samesite="lax",
    )
    return answer


async def _signed_in(request: Request, token: str, to: str) -> Response:
    settings = request.app.state.settings
    try:
        _, until = await request.app.state.keys.viewer(token)
    except Problem as refused:
        shown = {"next": _local(to), "problem": refused.detail, "viewer": None}
        return page("sign_in.html", http_status=refused.status, **shown)
    answer = RedirectResponse(_local(to), 303)
    answer.set_cookie(
        cookie_name(settings),
        token,
        max_age=max(int(until - time.time()), 0),
        httponly=True,
        secure=settings.secure,
        samesite="lax",
    )
    return answer


def _local(to: str) -> str:
    """A page of ours: a link to sign in leads nowhere else."""
    return to if to.startswith("/") and not to.startswith(("//", "/\\")) and to.isprintable() else HOME
