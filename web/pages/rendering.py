"""Templates, and the files that go with them."""

from hashlib import sha256
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

from web.pages import words

_HERE = Path(__file__).parents[1]
STATIC = _HERE / "static"
_FROM_NPM = _HERE.parent / "package-lock.json"
A_YEAR = "public, max-age=31536000, immutable"


def _version() -> str:
    """Changes with any of the files, and with what npm brings, so that a browser may keep them."""
    files = sorted(path for path in STATIC.iterdir() if path.is_file())
    if _FROM_NPM.is_file():
        files.append(_FROM_NPM)
    return sha256(b"".join(path.read_bytes() for path in files)).hexdigest()[:12]


_templates = Environment(
    loader=FileSystemLoader(_HERE / "templates"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_templates.filters["short"] = lambda user_id: str(user_id)[:8]
_templates.filters["known_as"] = lambda viewer: viewer.name or f"user {str(viewer.user_id)[:8]}"
_templates.globals["static"] = f"/static/{_version()}"
_templates.filters["rounded"] = words.rounded
STATIC_PATH = str(_templates.globals["static"])


class KeptFiles(StaticFiles):
    """Our own scripts and styles; their address changes when they do."""

    def file_response(self, *arguments: Any, **more: Any) -> Response:
        answer = super().file_response(*arguments, **more)
        answer.headers["cache-control"] = A_YEAR
        return answer

    async def get_response(self, path: str, scope: Scope) -> Response:
        answer = await super().get_response(path, scope)
        answer.headers["cross-origin-resource-policy"] = "same-origin"
        return answer


def page(name: str, *, http_status: int = 200, **values: Any) -> HTMLResponse:
    """A page from its template."""
    return HTMLResponse(_templates.get_template(name).render(values), http_status)


def wants_page(request: Request) -> bool:
    """Whether a person asks, with a browser."""
    return not request.url.path.startswith("/api/") and "text/html" in request.headers.get("accept", "")
