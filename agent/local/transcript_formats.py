"""What was heard, in the response formats of OpenAI's transcription API."""

from typing import Any, Literal

from fastapi.responses import JSONResponse, PlainTextResponse, Response

from agent.local.transcriber import Heard

Format = Literal["json", "text", "verbose_json", "srt", "vtt"]


def respond(heard: Heard, form: Format, *, words: bool = False) -> Response:
    match form:
        case "json":
            return JSONResponse({"text": heard.text})
        case "verbose_json":
            return JSONResponse(_verbose(heard, words=words))
        case "text":
            return PlainTextResponse(heard.text + "\n")
        case "srt":
            return PlainTextResponse(_subtitles(heard, ",", numbered=True))
        case "vtt":
            return PlainTextResponse("WEBVTT\n\n" + _subtitles(heard, ".", numbered=False))


def _verbose(heard: Heard, *, words: bool) -> dict[str, Any]:
    answer: dict[str, Any] = {
        "task": "transcribe",
        "language": heard.language,
        "duration": heard.duration,
        "text": heard.text,
        "segments": [
            {
                "id": number,
                "seek": segment.seek,
                "start": segment.start,
                "end": segment.end,
                "text": segment.text,
                "tokens": segment.tokens,
                "temperature": segment.temperature,
                "avg_logprob": segment.avg_logprob,
                "compression_ratio": segment.compression_ratio,
                "no_speech_prob": segment.no_speech_prob,
            }
            for number, segment in enumerate(heard.segments)
        ],
    }
    if words:
        answer["words"] = [
            {"word": word.word.strip(), "start": float(word.start), "end": float(word.end)}
            for segment in heard.segments
            for word in segment.words or ()
        ]
    return answer


def _subtitles(heard: Heard, decimal: str, *, numbered: bool) -> str:
    blocks = []
    for number, segment in enumerate(heard.segments, start=1):
        head = f"{number}\n" if numbered else ""
        span = f"{_clock(segment.start, decimal)} --> {_clock(segment.end, decimal)}"
        blocks.append(f"{head}{span}\n{segment.text.strip()}\n\n")
    return "".join(blocks)


def _clock(seconds: float, decimal: str) -> str:
    """`3661.5` as `01:01:01.500`."""
    milliseconds = round(seconds * 1000)
    minutes, rest = divmod(milliseconds, 60_000)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02d}:{minutes:02d}:{rest // 1000:02d}{decimal}{rest % 1000:03d}"
