"""On which leg packets were lost: on the way to LiveKit's server, or from there to the recorder.

The server keeps the gaps in the sequence numbers of what reaches it, so the recorder counts as lost what
never reached the server, too. The server's own sender reports tell how many packets it sent (RFC 3550 6.4.1):
what was expected by the sequence numbers and never sent was lost before it.
"""

from dataclasses import dataclass

from agent.session.counters import InboundCounters
from agent.session.perceived import LEAST_UNSEEN, packets_unseen

REPORT_PERIOD = 3.0  # LiveKit's server sends one so often
FRESH = 0.25  # a report older than this, in s, does not belong to counters read now
SLACK = 3  # packets that may have come between a report and the counters


@dataclass(frozen=True, slots=True)
class LostPackets:
    """Of one interval. `upstream` is None where the legs cannot be told apart: `on_leg` has them all."""

    on_leg: int
    upstream: int | None

    def since(self, earlier: "LostPackets") -> "LostPackets":
        return LostPackets(self.on_leg - earlier.on_leg, (self.upstream or 0) - (earlier.upstream or 0))


class Holes:
    """Packets missing in a row, report by report: a hole that a report fell into is in two parts."""

    def __init__(self) -> None:
        self._before = 0.0  # the part of the last report, and how much of it was told
        self._told = 0

    def part(self, missing: float) -> int:
        """How many packets to tell of now that so many more are missing."""
        whole = round(missing + self._before)
        is_hole = whole >= LEAST_UNSEEN
        new = max(whole - self._told, 0) if is_hole else 0
        self._before, self._told = missing, round(missing) if is_hole else 0
        return new


class LossByLeg:
    """One subscription's losses, told apart report by report. What is handed out adds up to what was lost."""

    def __init__(self) -> None:
        self._first: InboundCounters | None = None
        self._previous: InboundCounters | None = None
        self._reported: InboundCounters | None = None  # when the last report came
        self._base = (0, 0)  # expected and sent, from which reports count
        self._missing = 0  # never sent, by the last report
        self._holes, self._upstream_holes = Holes(), Holes()
        self._unseen = LostPackets(0, 0)  # gaps that libwebrtc does not see
        self._told_lost = 0
        self._told_upstream = 0
        self._told_unseen = LostPackets(0, 0)

    def note(self, counters: InboundCounters) -> None:
        """Take in the counters; a sender report that has just come is set against them.

        Not while a hole is open: one that never ends (a client that died) is not loss, one that ends is told
        of whole by the report after it.
        """
        self._first = self._first or counters
        report = counters.sender_report
        known = self._previous.sender_report if self._previous else None
        hole = counters.audio is not None and counters.hole_is_open
        if report and report != known and not hole and 0 <= counters.timestamp - report.at <= FRESH:
            self._set_against(counters, counters.timestamp - report.at, report.packets_sent)
            self._reported = counters
        self._previous = counters

    def take(self, counters: InboundCounters, *, last: bool = False) -> LostPackets:
        """What was lost since the last call, as far as is known where; with the `last` one, all of it.

        What was lost since the last report is kept for the next call: only the next report tells where it
        was.
        """
        self.note(counters)
        assert self._first is not None
        if self._reported is None:
            waiting = counters.timestamp - self._first.timestamp < 4 * REPORT_PERIOD and not last
            return LostPackets(0 if waiting else self._lost_until(counters.packets_lost), None)
        known = self._reported.packets_lost
        lost = self._lost_until(counters.packets_lost if last else known)
        upstream = min(max(self._missing, 0), known)
        if last and known:
            upstream += round(max(counters.packets_lost - known, 0) * upstream / known)
        upstream = min(max(upstream - self._told_upstream, 0), lost)
        self._told_upstream += upstream
        unseen, self._told_unseen = self._unseen.since(self._told_unseen), self._unseen
        return LostPackets(lost - upstream + unseen.on_leg, upstream + (unseen.upstream or 0))

    def _lost_until(self, lost: int) -> int:
        """A packet that comes late makes the count fall: it is not counted again when another is lost."""
        new = max(lost - self._told_lost, 0)
        self._told_lost += new
        return new

    def _set_against(self, counters: InboundCounters, age: float, sent: int) -> None:
        expected = counters.packets_expected - round(age * self._packets_per_second(counters))
        if self._reported is None and not -SLACK <= expected - sent <= counters.packets_lost + SLACK:
            self._base = (expected, sent)  # the server goes on counting where an earlier subscription ended
        missing = (expected - self._base[0]) - (sent - self._base[1]) + self._unseen.on_leg
        # Sent, neither received nor seen as lost. (It falls, too, when video is repaired before the server.)
        fell = max(self._missing - missing, 0) if counters.audio else 0
        on_leg = self._holes.part(fell)
        self._missing = missing + on_leg
        earlier = self._reported or self._first
        assert earlier is not None
        upstream = self._upstream_holes.part(max(packets_unseen(earlier, counters) - fell, 0.0))
        self._unseen = LostPackets(self._unseen.on_leg + on_leg, (self._unseen.upstream or 0) + upstream)

    def _packets_per_second(self, counters: InboundCounters) -> float:
        if self._previous is None or counters.timestamp <= self._previous.timestamp:
            return 0.0
        packets = counters.packets_expected - self._previous.packets_expected
        return max(packets, 0) / (counters.timestamp - self._previous.timestamp)
