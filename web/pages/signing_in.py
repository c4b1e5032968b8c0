"""Signing in with a token: a form, or a link. The token itself is the cookie, for as long as it is valid.

Nobody is signed in as somebody else without being asked: neither by a link nor by another site's form.
"""

import time
from typing import Annotated
from urllib.parse import parse_qs

from fastapi import APIRouter, Query, Request
from fastapi.responses import RedirectResponse, Response

from web.auth import checked, cookie_name, is_own_page, require_trusted_page, viewer_or_nobody
from web.pages.rendering import page
from web.problems import Problem
from web.settings import WebSettings
from web.tokens import LONGEST_TOKEN, Token

router = APIRouter(include_in_schema=False)
HOME = "/session-history"


@router.get("/sign-in")
async def sign_in(
    request: Request,
    token: Annotated[str, Query(max_length=LONGEST_TOKEN)] = "",
    to: Annotated[str, Query(alias="next", max_length=512)] = HOME,
) -> Response:
    """With a token in the link, at once where that is switched on; else a form for one."""
    settings: WebSettings = request.app.state.settings
    if token and settings.web_sign_in_links and not settings.web_cookie_name:
        return await _sign_in(request, token, to, ours=True)
    return await _form(request, to)


@router.post("/sign-in")
async def sign_in_by_form(request: Request) -> Response:
    """From a page of ours, or of an allowed origin, whose visitor is always asked."""
    require_trusted_page(request)
    form = {
        name: values[0] for name, values in parse_qs((await request.body()).decode(errors="replace")).items()
    }
    to = form.get("next", HOME)
    if request.app.state.settings.web_cookie_name:
        return await _form(request, to)
    ours = is_own_page(request)
    return await _sign_in(
        request, form.get("token", "").strip(), to, ours=ours, agreed=ours and form.get("instead") == "yes"
    )


@router.post("/sign-out")
async def sign_out(request: Request) -> Response:
    """Ends the token itself. A platform's own cookie is the platform's to end."""
    require_trusted_page(request)
    settings: WebSettings = request.app.state.settings
    if settings.web_cookie_name:
        return page("sign_out.html", viewer=await viewer_or_nobody(request))
    if await viewer_or_nobody(request):
        await request.app.state.sign_ins.end(request, request.state.token)
    answer = RedirectResponse("/sign-in", 303)
    answer.delete_cookie(cookie_name(settings), secure=settings.secure, httponly=True, samesite="lax")
    return answer


async def _form(request: Request, to: str, refused: Problem | None = None) -> Response:
    settings: WebSettings = request.app.state.settings
    return page(
        "sign_in.html",
        http_status=refused.status if refused else 200,
        next=_local(to),
        problem=refused.detail if refused else "",
        by_platform=bool(settings.web_cookie_name),
        viewer=await viewer_or_nobody(request),
    )


async def _sign_in(request: Request, text: str, to: str, *, ours: bool, agreed: bool = False) -> Response:
    """`ours`: whether the cookie of who is signed in would have come along; other sites' forms bring none."""
    now = await viewer_or_nobody(request)
    try:
        token = await checked(request, text)
    except Problem as refused:
        return await _form(request, to, refused)
    somebody_else = now is not None and now.user_id != token.viewer.user_id
    if not agreed and (somebody_else or not ours):
        return page("sign_in_instead.html", viewer=now, wanted=token.viewer, token=text, next=_local(to))
    return _signed_in(request.app.state.settings, token, text, to)


def _signed_in(settings: WebSettings, token: Token, text: str, to: str) -> Response:
    answer = RedirectResponse(_local(to), 303)
    answer.set_cookie(
        cookie_name(settings),
        text,
        max_age=max(int(token.expires_at - time.time()), 0),
        httponly=True,
        secure=settings.secure,
        samesite="lax",
    )
    return answer


def _local(to: str) -> str:
    """A page of ours: a link to sign in leads nowhere else."""
    return to if to.startswith("/") and not to.startswith(("//", "/\\")) and to.isprintable() else HOME
