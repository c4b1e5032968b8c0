"""WebRTC's statistics of a subscribed track, as the counters that readings are made of."""

from math import floor
from typing import Any

from livekit import rtc

from agent.session.counters import AudioCounters, InboundCounters, SenderReport, VideoCounters
from agent.session.legs import REPORT_PERIOD

LOOK_AFTER = 0.02  # s after a sender report is expected: the server's clock runs a few ms late
LOOK_AGAIN = 0.06  # libwebrtc answers from a cache for 50 ms
GIVE_UP = 0.4
GONE = 15.0  # after which no report is expected any more at its hour


async def counters_of(track: rtc.Track) -> InboundCounters | None:
    """The running totals of a subscription; None before its first packet."""
    stats = await track.get_stats()
    entry = next((s.inbound_rtp for s in stats if s.HasField("inbound_rtp")), None)
    if entry is None or entry.received.packets_received == 0:
        return None
    # libwebrtc adds what came by retransmission (RTX) to the packets received, but takes none off those lost.
    repaired = entry.inbound.retransmitted_packets_received
    video = entry.stream.kind == "video"
    return InboundCounters(
        timestamp=entry.rtc.timestamp / 1e6,
        bytes_received=entry.inbound.bytes_received,
        packets_received=entry.received.packets_received - repaired,
        packets_lost=entry.received.packets_lost,
        packets_repaired=repaired,
        audio=None if video else _audio(entry.inbound),
        video=_video(entry.inbound) if video else None,
        sender_report=_sender_report(stats),
        jitter=entry.received.jitter,
        round_trip_time=_round_trip_time(stats),
        last_packet_at=entry.inbound.last_packet_received_timestamp / 1e3 or None,
    )


def _audio(inbound: Any) -> AudioCounters:
    return AudioCounters(
        samples_received=inbound.total_samples_received,
        concealed_samples=inbound.concealed_samples,
        silent_concealed_samples=inbound.silent_concealed_samples,
        jitter_buffer_delay=inbound.jitter_buffer_delay,
        jitter_buffer_emitted=inbound.jitter_buffer_emitted_count,
    )


def _video(inbound: Any) -> VideoCounters:
    return VideoCounters(
        frames_received=inbound.frames_received,
        frames_decoded=inbound.frames_decoded,
        key_frames_decoded=inbound.key_frames_decoded,
        freeze_count=inbound.freeze_count,
        frame_delay=inbound.total_inter_frame_delay,
        squared_frame_delay=inbound.total_squared_inter_frame_delay,
        width=inbound.frame_width,
        height=inbound.frame_height,
    )


def _sender_report(stats: list[Any]) -> SenderReport | None:
    """The last that came; its time is when it came, on the same clock as the counters'."""
    remote = next((s.remote_outbound_rtp for s in stats if s.HasField("remote_outbound_rtp")), None)
    if remote is None or remote.remote_outbound.reports_sent == 0:
        return None
    return SenderReport(at=remote.rtc.timestamp / 1e6, packets_sent=remote.sent.packets_sent)


def _round_trip_time(stats: list[Any]) -> float | None:
    """Of the transport in use: STUN's round trip between SFU and recorder."""
    pairs = [s.candidate_pair.candidate_pair for s in stats if s.HasField("candidate_pair")]
    times = [p.current_round_trip_time for p in pairs if p.nominated and p.responses_received > 0]
    return min(times, default=None)


class SenderReports:
    """When to look at the counters, so that a sender report has just come. Times are the event loop's."""

    def __init__(self) -> None:
        self._came: float | None = None  # the last report
        self._looked: float | None = None

    def note(self, counters: InboundCounters, at: float) -> None:
        """What was seen at that time."""
        self._looked = at
        if report := counters.sender_report:
            self._came = at - (counters.timestamp - report.at)

    def nothing(self, at: float) -> None:
        """There was nothing to be seen at that time."""
        self._looked = at

    def next_look(self, now: float, until: float) -> float | None:
        """When to look next; None when no more report is expected before `until`."""
        if self._came is None or (self._looked or now) - self._came > GONE:
            look = (self._looked or now) + REPORT_PERIOD + LOOK_AFTER
            return look if look < until else None
        periods = floor((until - LOOK_AGAIN - LOOK_AFTER - self._came) / REPORT_PERIOD)
        if periods < 1:
            return None
        look = self._came + periods * REPORT_PERIOD + LOOK_AFTER
        if now <= look:
            return look
        return now + LOOK_AGAIN if now < look + GIVE_UP else None
