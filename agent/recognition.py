"""One way to Whisper: livekit-plugins-openai, to whatever server the settings name."""

import ssl
from dataclasses import dataclass
from functools import cache, cached_property
from typing import TYPE_CHECKING

import httpx2
import numpy as np
import openai
import stamina
import structlog
from livekit import rtc
from livekit.agents import APIConnectOptions, APIError, LanguageCode

from agent.session.errors import TranscriptionUnavailable, what_failed
from agent.settings import Settings
from agent.utterances import RATE, Samples

if TYPE_CHECKING:
    from livekit.plugins.openai import STT

log = structlog.stdlib.get_logger()

PERSISTENCE_SECONDS = 300.0  # how long an utterance is tried before it becomes a gap
ANSWER_SECONDS = (
    120.0  # a server that is behind answers late; who asks again only queues once more, at the end
)
_LEAST_SAMPLES = RATE  # services refuse or misjudge less than a second; silence makes up for it
# Whisper tells languages by their English names, of which LanguageCode knows most.
_UNKNOWN_TO_LIVEKIT = {
    "assamese": "as",
    "bashkir": "ba",
    "breton": "br",
    "cantonese": "zh",
    "faroese": "fo",
    "haitian creole": "ht",
    "latin": "la",
    "malagasy": "mg",
    "myanmar": "my",
    "nynorsk": "nn",
    "sanskrit": "sa",
    "sinhala": "si",
    "sundanese": "su",
    "tatar": "tt",
    "tibetan": "bo",
    "turkmen": "tk",
    "yiddish": "yi",
}  # Hawaiian has no such code
# A wrong key (401, 403) or model (404) is no fault of the audio: somebody will mend it.
_ABOUT_THE_AUDIO = (400, 413, 415, 422)
_ONCE = APIConnectOptions(max_retry=0, timeout=10.0)


@dataclass(frozen=True, slots=True)
class Words:
    """What the service heard; `text` is empty where it heard nothing. `language` is ISO 639-1, if told."""

    text: str
    language: str | None


class Recogniser:
    """Turns utterances into words. Safe to share by all speakers of a process."""

    def __init__(
        self,
        settings: Settings,
        *,
        persistence: float = PERSISTENCE_SECONDS,
        transport: httpx2.AsyncBaseTransport | None = None,
    ) -> None:
        self._settings = settings
        self._persistence = persistence
        self._transport = transport

    @cached_property
    def _http(self) -> httpx2.AsyncClient:
        return httpx2.AsyncClient(
            follow_redirects=True,
            event_hooks={"request": [_be_patient]},
            verify=certificates(),
            transport=self._transport,
        )

    @cached_property
    def _stt(self) -> "STT":
        from livekit.plugins.openai import STT  # noqa: PLC0415  (18 MB, for those alone who transcribe)

        settings = self._settings
        return STT(
            model=settings.recorder_whisper_model,
            language=settings.recorder_language or "en",
            detect_language=not settings.recorder_language,
            client=openai.AsyncClient(
                max_retries=0,
                api_key=settings.openai_api_key.get_secret_value() or "none",
                base_url=settings.openai_base_url or None,
                http_client=self._http,
            ),
        )

    def prepare(self) -> None:
        """Build now what the first utterance would else wait for."""
        _ = self._stt

    async def words(self, samples: Samples) -> Words:
        """The words of an utterance, however often it takes to ask.

        Raises TranscriptionUnavailable when the service refuses, or does not answer for five minutes.
        """
        frame = _as_frame(samples)
        try:
            async for attempt in stamina.retry_context(
                on=_may_pass, attempts=None, timeout=self._persistence, wait_initial=0.5, wait_max=10.0
            ):
                with attempt:
                    if attempt.num > 1:
                        log.warning("transcription_retried", attempt=attempt.num)
                    event = await self._stt.recognize(frame, conn_options=_ONCE)
        except APIError as error:
            log.error("transcription_failed", **what_failed(error))
            status = getattr(error, "status_code", None)
            reason = f"refused ({status})" if status else "no answer"
            raise TranscriptionUnavailable(reason, refused=status in _ABOUT_THE_AUDIO) from None
        heard = event.alternatives[0]
        return Words(heard.text.strip(), iso_639_1(str(heard.language)))

    async def aclose(self) -> None:
        """Close the connections."""
        if "_stt" in self.__dict__:
            await self._stt.aclose()
            await self._http.aclose()


@cache
def certificates() -> ssl.SSLContext:
    """Whom to believe: read once, 0.1 s and 2 MB, for all that a process and its children ask."""
    return httpx2.create_ssl_context()


async def _be_patient(request: httpx2.Request) -> None:
    """The plugin waits for 30 s, whatever it is told."""
    request.extensions["timeout"]["read"] = ANSWER_SECONDS


def iso_639_1(language: str) -> str | None:
    """The two letters of a language that a service names as it likes; None for what has none."""
    code = LanguageCode(_UNKNOWN_TO_LIVEKIT.get(language.casefold(), language)).language
    return code if len(code) == 2 else None


def _may_pass(error: Exception) -> bool:
    """Worth another try: no answer, too many requests, a fault of the server; not what we asked wrongly."""
    return isinstance(error, APIError) and error.retryable


def _as_frame(samples: Samples) -> rtc.AudioFrame:
    if len(samples) < _LEAST_SAMPLES:
        samples = np.pad(samples, (0, _LEAST_SAMPLES - len(samples)))
    return rtc.AudioFrame(samples.tobytes(), RATE, 1, len(samples))
