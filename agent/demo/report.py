"""The record of a session as a person wants to read it."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from rich.console import Console
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from agent.demo.timeline import timeline
from agent.printable import printable_values

Row = Mapping[str, Any]

COLOURS = {"user": "cyan", "counselor": "green"}
LEGS = {
    "sfu_to_recorder": "from LiveKit's server to the recorder",
    "client_to_sfu": "from the participant to LiveKit's server",
}


def print_record(
    console: Console, session: Row, participants: Sequence[Row], readings: Sequence[Row]
) -> None:
    """Print who, when, what was said and how good it was. Times are this machine's local times."""
    session, participants, readings = map(printable_values, (session, list(participants), list(readings)))
    console.print(Panel(_header(session, participants), title="Coaching session", title_align="left"))
    _section(console, "Who was there", timeline(session, participants, min(console.width, 120)))
    _section(console, "What was said", _conversation(session))
    if not readings:
        _section(console, "How good it was", Text("Nothing was measured.", style="dim"))
    for leg in sorted({row["leg"] for row in readings}, reverse=True):
        own = [row for row in readings if row["leg"] == leg]
        _section(console, f"How good it was, {LEGS[leg]}", _quality(session, own))
    _section(console, "How much of it is here", _coverage(session))
    _section(console, "What was missed", _gaps(session))


def _section(console: Console, title: str, content: Table | Text) -> None:
    console.print()
    console.print(Text(title, style="bold"))
    console.print(content)


def _header(session: Row, participants: Sequence[Row]) -> Table:
    begin, end = session["start_time"].astimezone(), session["end_time"]
    until = f" to {end.astimezone():%H:%M:%S}" if end else ""
    names = {row["identity"]: f"{row['name'] or row['identity']} ({row['role']})" for row in participants}
    table = Table.grid(padding=(0, 2))
    table.add_column(style="dim")
    table.add_column()
    facts = {
        "Who": ", ".join(names.values()) or "nobody",
        "When": f"{begin:%A, %d %B %Y, %H:%M:%S}{until} {begin:%Z}, {_duration(session)}",
        "Quality": _quality_in_words(session["quality_metrics"]),
        "About": f"{session['counselor_category'] or 'no category'}, {session['mode']}",
        "Status": session["status"] + (f" ({session['end_reason']})" if session["end_reason"] else ""),
        "Session": str(session["session_id"]),
    }
    for name, fact in facts.items():
        table.add_row(name, Text(fact))
    return table


def _duration(session: Row) -> str:
    if session["duration_seconds"] is None:
        return "still going on"
    minutes, seconds = divmod(session["duration_seconds"], 60)
    return f"{minutes} min {seconds} s" if minutes else f"{seconds} s"


def _quality_in_words(metrics: Row) -> str:
    quality = metrics.get("connection_quality_average", "unknown")
    kbps, fps, loss = (
        metrics.get(name) for name in ("average_bitrate", "average_fps", "packet_loss_percentage")
    )
    figures = [
        f"{kbps:.0f} kbit/s" if kbps is not None else "",
        f"{fps:.1f} pictures a second" if fps is not None else "",
        f"{loss:.1f} % of packets lost" if loss is not None else "",
    ]
    return ": ".join(part for part in (f"{quality} connection", ", ".join(filter(None, figures))) if part)


def _conversation(session: Row) -> Table | Text:
    if not session["transcript"]:
        return Text("Nothing was said.", style="dim")
    table = Table(box=None, padding=(0, 2, 0, 0), show_header=False)
    table.add_column(justify="right")
    table.add_column(style="dim")
    table.add_column()
    table.add_column(overflow="fold")
    for entry in session["transcript"]:
        begin = datetime.fromisoformat(entry["timestamp"])
        after = max((begin - session["start_time"]).total_seconds(), 0)
        played = " (screen)" if entry.get("track") else ""  # by what they share, not in their voice
        who = Text(entry["identity"] + played, style=COLOURS.get(entry["speaker"], "magenta"))
        clock = f"{int(after // 60)}:{after % 60:04.1f}"
        table.add_row(clock, f"{begin.astimezone():%H:%M:%S}", who, Text(entry["text"]))
    return table


def _quality(session: Row, readings: Sequence[Row]) -> Table:
    table = Table(box=None, padding=(0, 1, 0, 0), header_style="dim")
    for heading in ("Who", "What", "Connection"):
        table.add_column(heading)
    for heading in ("Readings", "kbit/s", "fps", "Lost", "Upstream", "Jitter", "RTT", "MOS", "Frozen"):
        table.add_column(heading, justify="right")
    tracks: dict[tuple[str, str], list[Row]] = defaultdict(list)
    for row in readings:
        tracks[row["identity"], row["source"]].append(row)
    people = session["quality_metrics"].get("participants", {})
    for (identity, source), rows in sorted(tracks.items()):
        size = next((f" {r['width']}x{r['height']}" for r in reversed(rows) if r["width"]), "")
        connection = people.get(identity, {}).get("connection_quality_average", "unknown")
        table.add_row(Text(identity), Text(source + size), Text(connection), *_figures(rows))
    return table


def _figures(rows: Sequence[Row]) -> list[str]:
    """Means over the readings; loss over all their packets together, on the leg and before it."""
    lost = sum(row["packets_lost"] or 0 for row in rows)
    packets = lost + sum(row["packets_received"] or 0 for row in rows)
    before = [row["packets_lost_upstream"] for row in rows if row["packets_lost_upstream"] is not None]
    frozen = [row["freeze_seconds"] for row in rows if row["freeze_seconds"] is not None]
    return [
        str(len(rows)),
        _mean(rows, "bitrate_kbps", "{:.0f}"),
        _mean(rows, "fps", "{:.1f}"),
        f"{100 * lost / packets:.2f} %" if packets else "-",
        f"{100 * sum(before) / (packets + sum(before)):.2f} %" if before and packets + sum(before) else "-",
        _mean(rows, "jitter_ms", "{:.1f} ms"),
        _mean(rows, "round_trip_ms", "{:.1f} ms"),
        _mean(rows, "mos", "{:.1f}"),
        f"{sum(frozen):.1f} s" if frozen else "-",
    ]


def _mean(rows: Sequence[Row], column: str, form: str) -> str:
    values = [row[column] for row in rows if row[column] is not None]
    return form.format(sum(values) / len(values)) if values else "-"


def _gaps(session: Row) -> Table | Text:
    if not session["gaps"]:
        return Text("Nothing: the record has no gaps.", style="dim")
    table = Table(box=None, padding=(0, 2, 0, 0), show_header=False)
    for gap in session["gaps"]:
        begin, until = (datetime.fromisoformat(gap[key]).astimezone() for key in ("from", "until"))
        whose = gap["what"] + (f" of {gap['identity']}" if gap.get("identity") else "")
        lasting = f"{(until - begin).total_seconds():.1f} s"
        table.add_row(f"{begin:%H:%M:%S} to {until:%H:%M:%S}", lasting, Text(whose), Text(gap["reason"]))
    return table


def _coverage(session: Row) -> Table:
    table = Table(box=None, padding=(0, 1, 0, 0), header_style="dim")
    table.add_column("Who")
    for heading in ("Present", "Microphone on", "Heard", "Speech", "Transcribed", "Share, at least"):
        table.add_column(heading, justify="right")
    for identity, ledger in session["coverage"].get("participants", {}).items():
        steps = ("present", "audible", "heard", "speech", "transcribed")
        share = "-" if ledger["share"] is None else f"{100 * ledger['share']:.1f} %"
        table.add_row(Text(identity), *(f"{ledger[step]:.1f} s" for step in steps), share)
    return table
