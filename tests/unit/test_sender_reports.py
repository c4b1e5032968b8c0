"""When to look at the counters: as a sender report comes, which is every three seconds."""

import pytest

from agent.session.counters import InboundCounters, SenderReport
from agent.track_stats import SenderReports


def seen(at: float, *, report_at: float | None = None) -> InboundCounters:
    """The counters at that time of the statistics' clock, which is 1000 s ahead of the event loop's."""
    report = None if report_at is None else SenderReport(at=1000 + report_at, packets_sent=1)
    return InboundCounters(
        timestamp=1000 + at, bytes_received=0, packets_received=1, packets_lost=0, sender_report=report
    )


def test_the_last_report_before_the_reading_is_the_one_to_look_at() -> None:
    reports = SenderReports()
    reports.note(seen(4.0, report_at=3.5), 4.0)
    assert reports.next_look(4.0, 14.0) == pytest.approx(12.52)


def test_none_is_expected_before_a_reading_that_is_near() -> None:
    reports = SenderReports()
    reports.note(seen(4.0, report_at=3.5), 4.0)
    assert reports.next_look(4.0, 5.0) is None


def test_a_report_that_was_seen_is_not_looked_for_again() -> None:
    reports = SenderReports()
    reports.note(seen(12.53, report_at=12.51), 12.53)
    assert reports.next_look(12.53, 14.0) is None


def test_a_report_that_is_late_is_looked_for_again_but_not_for_ever() -> None:
    reports = SenderReports()
    reports.note(seen(12.53, report_at=9.5), 12.53)
    assert reports.next_look(12.53, 14.0) == pytest.approx(12.59)
    assert reports.next_look(13.2, 14.0) is None


def test_while_none_has_come_one_is_looked_for_every_three_seconds() -> None:
    reports = SenderReports()
    reports.note(seen(1.0), 1.0)
    assert reports.next_look(1.0, 11.0) == pytest.approx(4.02)
    assert reports.next_look(1.0, 2.0) is None
