"""The bad line itself: a test's ruler has to be right before what it measures can be."""

import random

import pytest

from agent.demo.line_conditions import GOOD, Conditions, Count, Packet, Pipe, Stream, rtp_of


def packet(sequence: int, *, timestamp: int = 0, size: int = 100) -> Packet:
    return Packet(4711, 111, sequence & 0xFFFF, timestamp, size)


def stream() -> Stream:
    return Stream(Count("to_sfu", "client", 4711, "audio"), random.Random(1))


def test_rtp_is_told_from_rtcp_stun_and_dtls() -> None:
    header = bytes([0x80, 111, 0x01, 0x02, 0, 0, 0, 9, 0, 0, 0x12, 0x67])
    assert rtp_of(header) == Packet(0x1267, 111, 0x0102, 9, 12)
    assert rtp_of(bytes([0x80, 111 | 0x80, *header[2:]])) == Packet(
        0x1267, 111, 0x0102, 9, 12
    )  # with a marker
    for first, second in ((0x80, 200), (0x80, 205), (0x00, 0x01), (22, 254)):
        assert rtp_of(bytes([first, second, *header[2:]])) is None
    assert rtp_of(header[:11]) is None


def test_audio_video_and_retransmissions_by_payload_type() -> None:
    assert [Packet(1, number, 0, 0, 1).kind for number in (111, 63, 96, 97)] == [
        "audio",
        "audio",
        "video",
        "rtx",
    ]


@pytest.mark.parametrize("burst_length", [1, 5])
def test_so_many_are_lost_whether_one_by_one_or_in_bursts(burst_length: float) -> None:
    line, conditions = stream(), Conditions(loss=0.1, burst_length=burst_length)
    lost = [line.is_lost(conditions) for _ in range(100_000)]
    bursts = sum(now and not before for before, now in zip([False, *lost], lost, strict=False))
    assert sum(lost) / len(lost) == pytest.approx(0.1, abs=0.01)
    assert sum(lost) / bursts == pytest.approx(burst_length if burst_length > 1 else 1 / 0.9, rel=0.1)


def test_the_next_packets_can_be_dropped_by_number() -> None:
    line = stream()
    line.to_drop = 3
    assert [line.is_lost(GOOD) for _ in range(5)] == [True, True, True, False, False]


def test_gaps_that_were_there_before_are_told_from_those_made_here() -> None:
    line = stream()
    # receive 65534 and 65535, drop 0, miss 1 and 2, receive 3
    for sequence, leaves_at in ((65534, 0.0), (65535, 0.02), (65536, None), (65539, 0.08)):
        line.note(packet(sequence, timestamp=960 * sequence), leaves_at)
    assert (line.count.passed, line.count.dropped, line.count.span) == (3, 1, 6)
    assert line.count.missing_before == 2
    assert line.count.longest_pause == pytest.approx(0.06)


def test_jitter_is_that_of_rfc_3550() -> None:
    line = stream()
    # every 20 ms, but each second packet 16 ms late
    for number in range(400):
        line.note(packet(number, timestamp=960 * number), number * 0.02 + (number % 2) * 0.016)
    assert line.count.jitter == pytest.approx(0.016, abs=1e-6)


def test_a_bottleneck_holds_up_what_its_queue_takes_and_drops_the_rest() -> None:
    pipe, luck = Pipe(), random.Random(1)
    thin = Conditions(kbps=80, queue=0.05)  # 100 bytes take 10 ms
    leaves = [pipe.leaves_at(0.0, thin, 100, luck) for _ in range(8)]
    assert leaves == [pytest.approx(0.01 * n) for n in range(1, 6)] + [None] * 3
    assert pipe.leaves_at(1.0, thin, 100, luck) == pytest.approx(1.01)
    assert pipe.leaves_at(1.0, thin, 0, luck) == pytest.approx(1.01)  # no media: not throttled, but in order


def test_nothing_overtakes_whatever_the_jitter() -> None:
    pipe, luck = Pipe(), random.Random(1)
    leaves = [pipe.leaves_at(n / 1000, Conditions(delay=0.05, jitter=0.04), 100, luck) for n in range(1000)]
    times = [moment for moment in leaves if moment is not None]
    assert times == sorted(times)
    assert all(0.05 <= moment - n / 1000 <= 0.09 + 1e-9 for n, moment in enumerate(times))
