"""One session as its page shows it."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from agent.session.dips import dips
from web.pages import words
from web.pages.conversation import anchor, gaps, passages
from web.pages.people import colours_of, people
from web.pages.scale import Bar, Scale, charts
from web.record import Record, Row

MOST_DIPS = 6


def view(record: Record, now: datetime, categories: Mapping[str, str]) -> dict[str, Any]:
    """Everything that the template needs; `now` is where a session that goes on ends so far."""
    row = record.row
    scale = Scale(record.start, max(row["end_time"] or now, record.start))
    colours = colours_of(record)
    told = record.conversation()
    missed = gaps(record)
    shown = people(record, scale, told, missed, colours)
    return {
        "id": row["session_id"],
        "mode": row["mode"],
        "title": words.category(row, categories),
        "in_progress": record.in_progress,
        "recorded": record.recorded,
        "start": record.start,
        "end": row["end_time"],
        "duration": words.duration(scale.seconds if record.in_progress else row["duration_seconds"]),
        "seconds": round(scale.seconds, 3),
        "ending": words.ENDINGS.get(row["end_reason"] or "", ""),
        "quality": words.quality(row["quality_metrics"], row["mode"]),
        "coverage": _coverage(row),
        "people": shown,
        "more_people": len(colours) - len(shown),
        "passages": passages(record, colours, missed),
        "gaps": missed,
        "gap_bars": _gap_bars(missed, scale),
        "ticks": [(x, words.clock(seconds)) for x, seconds in scale.ticks()],
        "charts": charts(scale, record.readings),
        "no_charts": _no_charts(record),
        "colours": colours,
        "names": record.names,
        "dips": _dips(record),
        "silence": told["silence_percentage"],
    }


def _gap_bars(missed: Sequence[Row], scale: Scale) -> list[Bar]:
    """Where nothing was measured, for the charts."""
    return [
        scale.bar(gap["at"], gap["until"], gap["reason"])
        for gap in missed
        if gap["what"] in ("quality", "everything")
    ]


def _dips(record: Record) -> list[dict[str, Any]]:
    names, found = record.names, dips(record.readings, record.row["transcript"], MOST_DIPS)
    return [
        {
            "clock": words.clock((dip.begin - record.start).total_seconds()),
            "seconds": round((dip.begin - record.start).total_seconds(), 3),
            "who": names.get(dip.identity) or dip.identity,
            "source": dip.source.replace("_", " "),
            "what": dip.what,
            "text": dip.words["text"] if dip.words else None,
            "anchor": anchor(record.start, datetime.fromisoformat(dip.words["timestamp"]))
            if dip.words
            else None,
        }
        for dip in found
    ]


def _no_charts(record: Record) -> str:
    """Why there are none, in agreement with the figures above them."""
    figures = record.row["quality_metrics"]
    if record.in_progress:
        return "No figures yet: the first come after ten seconds."
    if words.told_by_client(figures):
        return "The figures of this call are what its client told; no recorder measured it."
    if figures.get("total_readings"):
        return "The single readings of this call are not kept."
    return "The quality of this call was not measured."


def _coverage(row: Row) -> dict[str, Any]:
    share = row["coverage"].get("share")
    return {"known": share is not None, "percent": words.percent(share), "complete": share == 1}
