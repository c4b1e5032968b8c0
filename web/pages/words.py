"""Figures as people say them."""

from collections.abc import Mapping
from typing import Any

QUALITY = {
    "excellent": "Excellent",
    "good": "Good",
    "fair": "Fair",
    "poor": "Poor",
    "lost": "Lost",
    "unknown": "Not rated",
}
REASONS = {
    "subscribing": "the first moment of a microphone",
    "recorder_joined_late": "the recorder had just joined",
    "transcription_unavailable": "no words could be had for this speech",
    "recorder_taken_over": "the recorder was replaced",
    "connection_lost": "their connection was lost",
    "recorder_cut_off": "the recorder had no connection",
    "recorder_error": "the recorder failed to listen",
}
ENDINGS = {
    "ended_by_participant": "Ended by a participant",
    "room_empty": "Everybody had left",
    "room_closed": "The room was closed",
    "recorder_lost": "Its end was not seen; it ends with the last that is known",
    "told_by_client": "As the client told it; no recorder saw it",
}


def duration(seconds: float | None) -> str:
    """`23m 45s`."""
    if seconds is None:
        return ""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours}h {minutes:02d}m"
    return f"{minutes}m {rest:02d}s" if minutes else f"{rest}s"


def clock(seconds: float) -> str:
    """`23:45` into a session, `1:02:03` into a long one."""
    minutes, rest = divmod(int(max(seconds, 0)), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


def category(row: Mapping[str, Any]) -> str:
    """A session's title: what it was about."""
    told = str(row["counselor_category"] or "").replace("_", " ").replace("-", " ").strip()
    return told[:1].upper() + told[1:] if told else "Coaching session"


def quality(metrics: Mapping[str, Any]) -> dict[str, str]:
    """A call's quality in a word and in figures; empty where nothing is known."""
    state = str(metrics.get("connection_quality_average") or "unknown")
    kbps, fps = _number(metrics, "average_bitrate"), _number(metrics, "average_fps")
    loss = _number(metrics, "packet_loss_percentage")
    figures = [
        f"{kbps:.0f} kbit/s" if kbps is not None else "",
        f"{fps:.0f} fps" if fps is not None else "",
        f"{loss:.1f} % lost" if loss is not None else "",
    ]
    return {
        "state": state if state in QUALITY else "unknown",
        "word": QUALITY.get(state, QUALITY["unknown"]),
        "figures": " · ".join(filter(None, figures)),
    }


def percent(share: float | None) -> str:
    """Rounded down: 99.96 % of a record is not all of it."""
    return "" if share is None else f"{int(share * 1000) / 10:g} %"


def _number(metrics: Mapping[str, Any], name: str) -> float | None:
    value = metrics.get(name)
    return float(value) if isinstance(value, int | float) else None
