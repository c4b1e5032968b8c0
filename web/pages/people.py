"""Who was in a session, each with a lane on its time line and with their figures."""

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from itertools import islice
from typing import Any

from agent.session.transcript import voice_of
from web.pages import words
from web.pages.conversation import anchor
from web.pages.scale import Bar, Scale
from web.record import Record, Row

COLOURS = 6
MOST_PEOPLE = 24  # on one page; of the others it says how many there are


def colours_of(record: Record) -> dict[str, int]:
    """A colour for each person, in the order in which they came, also for those only their words tell of."""
    came = [_identity(stay) for stay in record.participants]
    spoke = [voice_of(entry) for entry in record.row["transcript"]]
    return {identity: n % COLOURS for n, identity in enumerate(dict.fromkeys([*came, *spoke]))}


def people(
    record: Record, scale: Scale, told: dict[str, Any], missed: Sequence[Row], colours: dict[str, int]
) -> list[dict[str, Any]]:
    """The first `MOST_PEOPLE` of them; `told` is what is measured of the conversation."""
    stays, said = _grouped(record.participants, _identity), _grouped(record.row["transcript"], voice_of)
    missing = _missing(missed, scale)
    shown = []
    for identity in islice(colours, MOST_PEOPLE):
        own = told["participants"].get(identity)
        shown.append(
            {
                "identity": identity,
                "colour": colours[identity],
                "speaking": _speaking(scale, said.get(identity, [])),
                "measures": own and _measures(record, own),
                **_presence(scale, stays.get(identity, []), identity, missing),
                **_figures(record.row, identity),
            }
        )
    return shown


def _grouped(things: Iterable[Row], key: Callable[[Row], str]) -> dict[str, list[Row]]:
    own: dict[str, list[Row]] = {}
    for thing in things:
        own.setdefault(key(thing), []).append(thing)
    return own


def _identity(stay: Row) -> str:
    return str(stay["identity"] or stay["user_id"] or stay["participant_id"])


def _presence(
    scale: Scale, stays: Sequence[Row], identity: str, missing: Sequence[tuple[str | None, Bar]]
) -> dict[str, Any]:
    there = [_stay_bar(scale, stay) for stay in stays]
    return {
        "name": next((stay["name"] for stay in stays if stay["name"]), None) or identity,
        "role": next((stay["role"] for stay in stays if stay["role"]), None),
        "stays": there,
        "there": "; ".join(bar.label for bar in there),
        "missing": [bar for who, bar in missing if who in (identity, None) and _touches(bar, there)],
    }


def _figures(row: Row, identity: str) -> dict[str, Any]:
    figures = row["quality_metrics"].get("participants", {}).get(identity, {})
    ledger = row["coverage"].get("participants", {}).get(identity, {})
    return {
        "quality": words.quality(figures, row["mode"]),
        "mos": figures.get("average_mos"),
        "coverage": words.percent(ledger.get("share")),
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


def _speaking(scale: Scale, said: Sequence[Row]) -> list[Bar]:
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
