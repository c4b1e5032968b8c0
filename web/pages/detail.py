"""One session as its page shows it."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from agent.session.dips import dips
from agent.session.subtitles import Entry
from agent.session.transcript import voice_of
from web.pages import words
from web.pages.conversation import anchor, gaps, passages
from web.pages.scale import Bar, Scale, charts
from web.record import Record, Row

COLOURS = 6
MOST_DIPS = 6


def view(record: Record, now: datetime) -> dict[str, Any]:
    """Everything that the template needs; `now` is where a session that goes on ends so far."""
    row = record.row
    scale = Scale(record.start, max(row["end_time"] or now, record.start))
    colours = _colours(record)
    told = record.conversation()
    missed = gaps(record)
    return {
        "id": row["session_id"],
        "mode": row["mode"],
        "title": words.category(row),
        "in_progress": record.in_progress,
        "recorded": record.recorded,
        "start": record.start,
        "end": row["end_time"],
        "duration": words.duration(scale.seconds if record.in_progress else row["duration_seconds"]),
        "seconds": round(scale.seconds, 3),
        "ending": words.ENDINGS.get(row["end_reason"] or "", ""),
        "quality": words.quality(row["quality_metrics"]),
        "coverage": _coverage(row),
        "people": [_person(record, scale, told, missed, who, n) for who, n in colours.items()],
        "passages": passages(record, colours, missed),
        "gaps": missed,
        "gap_bars": _gap_bars(missed, scale),
        "ticks": [(x, words.clock(seconds)) for x, seconds in scale.ticks()],
        "charts": charts(scale, record.readings),
        "colours": colours,
        "names": record.names,
        "dips": _dips(record),
        "silence": told["silence_percentage"],
    }


def _colours(record: Record) -> dict[str, int]:
    """A colour for each person, in the order in which they came, also for those only their words tell of."""
    came = [_identity(stay) for stay in record.participants]
    spoke = [voice_of(entry) for entry in record.row["transcript"]]
    return {identity: n % COLOURS for n, identity in enumerate(dict.fromkeys([*came, *spoke]))}


def _identity(stay: Row) -> str:
    return str(stay["identity"] or stay["user_id"] or stay["participant_id"])


def _person(
    record: Record, scale: Scale, told: dict[str, Any], missed: Sequence[Row], identity: str, colour: int
) -> dict[str, Any]:
    stays = [stay for stay in record.participants if _identity(stay) == identity]
    said = [e for e in record.row["transcript"] if voice_of(e) == identity]
    there = [_stay_bar(scale, stay) for stay in stays]
    missing = _missing(missed, scale)
    name = next((stay["name"] for stay in stays if stay["name"]), None)
    figures = record.row["quality_metrics"].get("participants", {}).get(identity, {})
    ledger = record.row["coverage"].get("participants", {}).get(identity, {})
    own = told["participants"].get(identity)
    return {
        "identity": identity,
        "name": name or identity,
        "role": next((stay["role"] for stay in stays if stay["role"]), None),
        "colour": colour,
        "stays": there,
        "there": "; ".join(bar.label for bar in there),
        "speaking": _speaking(scale, said),
        "missing": [bar for who, bar in missing if who in (identity, None) and _touches(bar, there)],
        "quality": words.quality(figures),
        "mos": figures.get("average_mos"),
        "coverage": words.percent(ledger.get("share")),
        "measures": own and _measures(record, own),
    }


def _measures(record: Record, own: dict[str, Any]) -> dict[str, Any]:
    longest_at = own["longest_turn_at"]
    return {
        **own,
        "share": round(100 * (own["talk_share"] or 0)),
        "talk": words.duration(own["talk_seconds"]),
        "longest": words.duration(own["longest_turn_seconds"]),
        "longest_anchor": anchor(record.start, longest_at) if longest_at else None,
    }


def _stay_bar(scale: Scale, stay: Row) -> Bar:
    left = stay["left_at"] or scale.end
    seconds = [(moment - scale.start).total_seconds() for moment in (stay["joined_at"], left)]
    until = words.clock(seconds[1]) if stay["left_at"] else "now"
    return scale.bar(stay["joined_at"], left, f"{words.clock(seconds[0])} to {until}")


def _speaking(scale: Scale, said: Sequence[Entry]) -> list[Bar]:
    spans = ((datetime.fromisoformat(e["timestamp"]), e.get("end") or e["timestamp"]) for e in said)
    return [scale.bar(begin, datetime.fromisoformat(end)) for begin, end in spans]


def _missing(missed: Sequence[Row], scale: Scale) -> list[tuple[str | None, Bar]]:
    return [
        (gap["identity"], scale.bar(gap["at"], gap["until"], f"{gap['duration']} missing: {gap['reason']}"))
        for gap in missed
        if gap["hides_words"]
    ]


def _touches(bar: Bar, others: Sequence[Bar]) -> bool:
    return any(bar.x < other.x + other.width and other.x < bar.x + bar.width for other in others)


def _gap_bars(missed: Sequence[Row], scale: Scale) -> list[Bar]:
    """Where nothing was measured, for the charts."""
    return [
        scale.bar(gap["at"], gap["until"], gap["reason"])
        for gap in missed
        if gap["what"] in ("quality", "everything")
    ]


def _dips(record: Record) -> list[dict[str, Any]]:
    found = dips(record.readings, record.row["transcript"], MOST_DIPS)
    return [
        {
            "clock": words.clock((dip.begin - record.start).total_seconds()),
            "seconds": round((dip.begin - record.start).total_seconds(), 3),
            "who": record.names.get(dip.identity) or dip.identity,
            "source": dip.source.replace("_", " "),
            "what": dip.what,
            "text": dip.words["text"] if dip.words else None,
            "anchor": anchor(record.start, datetime.fromisoformat(dip.words["timestamp"]))
            if dip.words
            else None,
        }
        for dip in found
    ]


def _coverage(row: Row) -> dict[str, Any]:
    share = row["coverage"].get("share")
    return {"known": share is not None, "percent": words.percent(share), "complete": share == 1}
