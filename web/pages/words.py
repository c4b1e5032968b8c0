"""Figures as people say them."""

import re
from collections.abc import Mapping
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

QUALITY = {
    "excellent": "Excellent",
    "good": "Good",
    "fair": "Fair",
    "poor": "Poor",
    "lost": "Lost",
    "unknown": "Not rated",
}
_RATED = set(QUALITY) - {"unknown"}
ENDINGS = {
    "ended_by_participant": "Ended by a participant",
    "room_empty": "Everybody had left",
    "room_closed": "The room was closed",
    "recorder_lost": "Its end was not seen; it ends with the last that is known",
    "told_by_client": "As the client told it; no recorder saw it",
}
MOST = 1e9  # what is larger was never measured
_NO_CATEGORY = "Coaching session"
_UUID = re.compile(r"[{]?[0-9a-f]{8}(-?[0-9a-f]{4}){3}-?[0-9a-f]{12}[}]?", re.IGNORECASE)
_MIXED = re.compile(r"(?=.*[0-9])(?=.*[A-Za-z])[0-9A-Za-z]{8,}")
_NUMBERED = re.compile(r"[A-Za-z]+[0-9]{1,4}|[0-9]{1,4}[A-Za-z]+")  # physics101, 2026spring


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


def category(row: Mapping[str, Any], names: Mapping[str, str]) -> str:
    """A session's title: what it was about. `names`: of categories that are ids, which are no title."""
    told = str(row["counselor_category"] or "").strip()
    if named := names.get(told) or names.get(told.lower()):
        return named
    title = "" if _is_id(told) else told.replace("_", " ").replace("-", " ").strip()
    return title[:1].upper() + title[1:] if title else _NO_CATEGORY


def _is_id(text: str) -> bool:
    """Nothing to read for a person: a UUID, a number, `507f1f77bcf86cd799439011`, `cat_8f3kQ2x9`."""
    if _UUID.fullmatch(text) or text.isdigit():
        return True
    parts = re.split(r"[_\W]+", text)
    return any(_MIXED.fullmatch(part) and not _NUMBERED.fullmatch(part) for part in parts)


def told_by_client(metrics: Mapping[str, Any]) -> bool:
    """Whether these figures are a client's own, not what a recorder measured (which counts its readings)."""
    return metrics.get("source") == "client" or (bool(metrics) and "total_readings" not in metrics)


def quality(metrics: Mapping[str, Any], mode: str) -> dict[str, str]:
    """A call's quality in a word and in figures; empty where nothing is known. Voice has no pictures."""
    state = str(metrics.get("connection_quality_average") or "unknown")
    kbps, loss = _number(metrics, "average_bitrate"), _number(metrics, "packet_loss_percentage")
    fps = _number(metrics, "average_fps") if mode == "video" else None
    figures = [
        f"{rounded(kbps)} kbit/s" if kbps is not None else "",
        f"{rounded(fps)} fps" if fps is not None else "",
        f"{rounded(loss, '0.1')} % lost" if loss is not None else "",
    ]
    if told_by_client(metrics) and (any(figures) or state in _RATED):
        figures.append("told by the client")
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
    return float(value) if isinstance(value, int | float) and 0 <= value <= MOST else None


def rounded(value: float, to: str = "1") -> str:
    """Halves up: 812.5 is 813, as people round, not 812."""
    return str(Decimal(str(value)).quantize(Decimal(to), ROUND_HALF_UP))
