"""Losses told apart by leg, as packets come and sender reports tell how many were sent."""

from dataclasses import replace

import pytest

from agent.session.counters import AudioCounters, InboundCounters, SenderReport
from agent.session.legs import LossByLeg, LostPackets


class Line:
    """A client, a server and a recorder: packets that are lost on either leg, or arrive."""

    def __init__(self, *, sent_before: int = 0) -> None:
        self.losses = LossByLeg()
        self.clock = 1000.0
        self._received = 0
        self._lost = 0
        self._sent = sent_before
        self._concealed = 0
        self._report: SenderReport | None = None

    def pass_on(self, packets: int, *, lost_upstream: int = 0, lost: int = 0) -> None:
        """So many arrive; others are lost before or behind the server."""
        self._received += packets
        self._lost += lost_upstream + lost
        self._sent += packets + lost
        self.clock += 1

    def report(self, *, seen: bool = True) -> None:
        self._report = SenderReport(at=self.clock, packets_sent=self._sent)
        if seen:
            self.losses.note(self.counters)

    def breaks(self, packets: int, *, upstream: bool) -> None:
        """A hole so long that libwebrtc takes what follows for another stream; the sound is concealed."""
        self._sent += 0 if upstream else packets
        self._concealed += 960 * packets
        self.clock += packets / 50

    def arrives_late(self, packets: int) -> None:
        self._received += packets
        self._lost -= packets
        self._sent += packets

    def read(self, *, last: bool = False) -> LostPackets:
        return self.losses.take(self.counters, last=last)

    @property
    def counters(self) -> InboundCounters:
        return InboundCounters(
            timestamp=self.clock,
            bytes_received=0,
            packets_received=self._received,
            packets_lost=self._lost,
            sender_report=self._report,
            audio=AudioCounters(
                samples_received=960 * (self._received + self._lost) + self._concealed,
                concealed_samples=960 * self._lost + self._concealed,
            ),
        )


def told(*readings: LostPackets) -> tuple[int, int]:
    return sum(r.on_leg for r in readings), sum(r.upstream or 0 for r in readings)


def test_what_the_server_never_sent_was_lost_before_it() -> None:
    line = Line()
    line.pass_on(85, lost_upstream=10, lost=5)
    line.report()
    assert line.read() == LostPackets(on_leg=5, upstream=10)


def test_what_was_lost_since_the_report_waits_for_the_next() -> None:
    line = Line()
    line.pass_on(95, lost=5)
    line.report()
    line.pass_on(90, lost_upstream=10)
    first = line.read()
    assert first == LostPackets(on_leg=5, upstream=0)
    line.report()
    assert line.read() == LostPackets(on_leg=0, upstream=10)


def test_a_burst_is_never_named_after_the_wrong_leg() -> None:
    for upstream in (0, 50):
        line = Line()
        line.pass_on(500)
        line.report()
        line.pass_on(100, lost_upstream=upstream, lost=50 - upstream)
        readings = [line.read()]
        line.pass_on(100)
        line.report()
        line.pass_on(400)
        readings += [line.read(), line.read(last=True)]
        assert told(*readings) == (50 - upstream, upstream)


def test_a_hole_that_the_statistics_do_not_see_is_lost_all_the_same() -> None:
    for upstream in (False, True):
        line = Line()
        line.pass_on(90, lost_upstream=10)
        line.report()
        line.pass_on(250)
        line.breaks(100, upstream=upstream)
        line.pass_on(100)
        readings = [line.read()]
        line.report()
        line.pass_on(50)
        readings += [line.read(), line.read(last=True)]
        assert told(*readings) == ((0, 110) if upstream else (100, 10))


def test_a_hole_before_the_first_report() -> None:
    line = Line()
    line.pass_on(10)
    assert line.read() == LostPackets(on_leg=0, upstream=None)
    line.breaks(80, upstream=True)
    line.pass_on(50)
    line.report()
    assert line.read() == LostPackets(on_leg=0, upstream=80)


@pytest.mark.parametrize("parts", [(25, 35), (48, 32), (30, 50), (48, 150, 32), (300, 300), (80,)])
@pytest.mark.parametrize("upstream", [True, False])
def test_a_hole_that_reports_fell_into_is_one_hole(parts: tuple[int, ...], *, upstream: bool) -> None:
    line = Line()
    line.pass_on(500)
    line.report()
    for part in parts:
        line.pass_on(100)
        line.breaks(part, upstream=upstream)
        line.report()
    for _ in range(2):
        line.pass_on(150)
        line.report()
    assert told(line.read(last=True)) == ((0, sum(parts)) if upstream else (sum(parts), 0))


@pytest.mark.parametrize(("upstream", "lost"), [(False, (600, 0)), (True, (0, 0))])
def test_a_long_silence_is_a_loss_only_where_the_server_sent(
    *,
    upstream: bool,
    lost: tuple[int, int],
) -> None:
    line = Line()
    line.pass_on(500)
    line.report()
    line.breaks(600, upstream=upstream)
    line.pass_on(100)
    line.report()
    assert told(line.read(last=True)) == lost


def test_the_last_reading_tells_all_and_shares_out_what_no_report_covers() -> None:
    line = Line()
    line.pass_on(80, lost_upstream=15, lost=5)
    line.report()
    line.pass_on(90, lost_upstream=6, lost=2)
    assert line.read(last=True) == LostPackets(on_leg=7, upstream=21)


def test_without_reports_the_legs_are_not_told_apart() -> None:
    line = Line()
    line.pass_on(90, lost_upstream=5, lost=5)
    assert line.read() == LostPackets(on_leg=0, upstream=None)  # a report may still come
    line.clock += 20
    assert line.read() == LostPackets(on_leg=10, upstream=None)
    line.pass_on(90, lost=1)
    assert line.read(last=True) == LostPackets(on_leg=1, upstream=None)


def test_an_old_report_is_not_set_against_counters_of_now() -> None:
    line = Line()
    line.report(seen=False)
    line.pass_on(90, lost=10)
    assert line.read(last=True) == LostPackets(on_leg=10, upstream=None)


def test_a_server_that_goes_on_counting_from_an_earlier_subscription() -> None:
    line = Line(sent_before=5000)
    line.pass_on(100, lost=3)
    line.report()
    line.pass_on(90, lost_upstream=10)
    line.report()
    assert line.read() == LostPackets(on_leg=3, upstream=10)


def test_packets_that_come_late_are_not_lost_and_never_counted_below_zero() -> None:
    line = Line()
    line.pass_on(90, lost_upstream=10)
    line.report()
    readings = [line.read()]
    line.arrives_late(4)
    line.report()
    readings.append(line.read())
    line.pass_on(100, lost=4)
    line.report()
    readings.append(line.read())
    assert [reading.on_leg for reading in readings] == [0, 0, 0]
    assert told(*readings) == (0, 10)


def test_all_readings_together_tell_every_packet_once() -> None:
    line = Line()
    readings = []
    for second in range(1, 61):
        line.pass_on(45, lost_upstream=second % 3, lost=second % 2)
        if second % 3 == 0:
            line.report()
        if second % 10 == 0:
            readings.append(line.read())
    readings.append(line.read(last=True))
    assert told(*readings) == (30, 60)


def silent(line: Line, *, tail: float, last_packet_at: float) -> InboundCounters:
    """The counters when nothing has come for so long; all that the decoder gives is concealed."""
    samples = round(48_000 * tail)
    counters = line.counters
    assert counters.audio is not None
    return replace(
        counters,
        timestamp=last_packet_at + tail,
        last_packet_at=last_packet_at,
        audio=replace(
            counters.audio,
            samples_received=counters.audio.samples_received + samples,
            concealed_samples=counters.audio.concealed_samples + samples,
            silent_concealed_samples=samples - 960,
        ),
        sender_report=SenderReport(at=last_packet_at + tail - 0.1, packets_sent=500),
    )


def test_a_hole_without_an_end_is_no_loss() -> None:
    line = Line()
    line.pass_on(500)
    line.report()
    died_at = line.clock
    for tail in (1.5, 4.5, 7.5):
        line.losses.note(silent(line, tail=tail, last_packet_at=died_at))
    assert line.read(last=True) == LostPackets(on_leg=0, upstream=0)


def test_a_hole_that_a_report_fell_into_is_told_whole_when_it_ends() -> None:
    line = Line()
    line.pass_on(500)
    line.report()
    line.losses.note(silent(line, tail=1.5, last_packet_at=line.clock))
    line.breaks(150, upstream=True)
    line.pass_on(100)
    line.report()
    assert line.read(last=True) == LostPackets(on_leg=0, upstream=150)


def test_counters_as_they_were_when_the_last_packet_came() -> None:
    line = Line()
    line.pass_on(500)
    earlier = line.counters
    line.pass_on(50)
    until = silent(line, tail=4.0, last_packet_at=line.clock).until_last_packet(earlier)
    assert (until.timestamp, until.silence) == (line.clock, 0.0)
    assert until.audio == line.counters.audio
