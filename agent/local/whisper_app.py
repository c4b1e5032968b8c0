"""OpenAI's transcription API over a local model: one code path for speech, whatever serves it.

Nothing that was said is ever logged.
"""

from collections.abc import Awaitable, Callable
from typing import Annotated, Any, cast

from fastapi import FastAPI, File, Form, Request, UploadFile
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from starlette.exceptions import HTTPException

from agent.local.transcriber import ClientGone, NotAudio, Transcriber, Wanted
from agent.local.transcript_formats import Format, respond

LARGEST_FILE = 25 * 1024 * 1024  # OpenAI's own limit
CLIENT_CLOSED_REQUEST = 499  # nginx's; nobody reads it


class RequestRefused(Exception):
    """The request cannot be served; its fields are those of OpenAI's error object."""

    def __init__(self, status: int, message: str, code: str) -> None:
        super().__init__(message)
        self.status, self.message, self.code = status, message, code


def create_app(model: str) -> FastAPI:
    """The server over one model, which answers whatever model a request names."""
    app = FastAPI(title="Local Whisper", docs_url=None, redoc_url=None, openapi_url=None)
    transcriber = Transcriber(model)
    _answer_errors_as_openai(app)
    app.middleware("http")(_refuse_pages)

    @app.get("/health")
    async def health() -> dict[str, str]:
        return {"status": "ok"}

    @app.get("/v1/models")
    async def models() -> dict[str, Any]:
        served = {"id": "whisper-1", "object": "model", "created": 0, "owned_by": "local"}
        return {"object": "list", "data": [served]}

    @app.post("/v1/audio/transcriptions")
    async def transcriptions(
        request: Request,
        file: Annotated[UploadFile, File()],
        language: Annotated[str, Form()] = "",
        prompt: Annotated[str, Form()] = "",
        temperature: Annotated[float, Form(ge=0, le=1)] = 0.0,
        response_format: Annotated[Format, Form()] = "json",
        granularities: Annotated[list[str] | None, Form(alias="timestamp_granularities[]")] = None,
    ) -> Response:
        words = response_format == "verbose_json" and "word" in (granularities or ())
        _check_file(file)
        _check_language(language, transcriber)
        wanted = Wanted(language or None, prompt or None, temperature, words)
        try:
            heard = await transcriber.transcribe(file.file, wanted, request.is_disconnected)
        except ClientGone:
            return Response(status_code=CLIENT_CLOSED_REQUEST)
        except NotAudio:
            raise RequestRefused(400, "The file is not audio that can be decoded.", "invalid_file") from None
        return respond(heard, response_format, words=words)

    return app


async def _refuse_pages(request: Request, answer: Callable[[Request], Awaitable[Response]]) -> Response:
    """Any page that a developer looks at could put it to work: browsers say for whom they ask."""
    if "origin" in request.headers:
        return _error(403, "Pages in a browser are not served.", "origin_not_allowed")
    return await answer(request)


def _check_file(file: UploadFile) -> None:
    if not file.size:
        raise RequestRefused(400, "The file is empty.", "invalid_file")
    if file.size > LARGEST_FILE:
        raise RequestRefused(413, f"The file is larger than {LARGEST_FILE} bytes.", "file_too_large")


def _check_language(language: str, transcriber: Transcriber) -> None:
    # A model of one language hears everything in that language, whatever is asked.
    if language and len(transcriber.languages) > 1 and language not in transcriber.languages:
        raise RequestRefused(400, "The language must be an ISO 639-1 code.", "invalid_language_format")


def _answer_errors_as_openai(app: FastAPI) -> None:
    async def refused(_: Request, error: Exception) -> Response:
        refusal = cast("RequestRefused", error)
        return _error(refusal.status, refusal.message, refusal.code)

    async def malformed(_: Request, error: Exception) -> Response:
        first = cast("RequestValidationError", error).errors()[0]
        field = ".".join(str(part) for part in first["loc"][1:]) or "body"
        return _error(400, f"{field}: {first['msg']}", "invalid_request")

    async def http_error(_: Request, error: Exception) -> Response:
        failure = cast("HTTPException", error)
        return _error(failure.status_code, str(failure.detail), "invalid_request")

    async def failed(_: Request, error: Exception) -> Response:
        return _error(500, f"The server failed ({type(error).__name__}).", "server_error")

    app.add_exception_handler(RequestRefused, refused)
    app.add_exception_handler(RequestValidationError, malformed)
    app.add_exception_handler(HTTPException, http_error)
    app.add_exception_handler(Exception, failed)


def _error(status: int, message: str, code: str) -> Response:
    kind = "invalid_request_error" if status < 500 else "server_error"
    return JSONResponse({"error": {"message": message, "type": kind, "param": None, "code": code}}, status)
