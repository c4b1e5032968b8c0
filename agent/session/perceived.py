"""What was seen and heard between two readings: freezes, invented sound, the E-model's score of it."""

from math import sqrt

from agent.session.counters import InboundCounters, VideoCounters
from agent.session.voice_quality import mean_opinion_score

# A packet of Opus carries 20 ms of sound (RFC 7587 4.2, WebRTC's default), counted in samples of 48 kHz.
SAMPLES_IN_A_PACKET = 960
# So many packets of sound in a row may be missing unseen: libwebrtc sees shorter gaps (and concealment
# begins a little late), and who sends nothing for longer than 10 s has stopped sending.
LEAST_UNSEEN = 45
MOST_UNSEEN = 500


def freezes_between(earlier: VideoCounters | None, later: VideoCounters | None) -> tuple[int, float] | None:
    """How often the picture stood still, and for how many seconds in all.

    LiveKit's SDK hands on the count, but not how long they lasted (it is always 0). Of N delays between
    frames with mean m and variance v, of which k were freezes, two equal groups give a freeze of m + sqrt(v
    (N - k) / k).
    """
    if earlier is None or later is None:
        return None
    freezes = later.freeze_count - earlier.freeze_count
    frames = later.frames_decoded - earlier.frames_decoded
    if freezes <= 0 or frames <= 0:
        return 0, 0.0
    freezes = min(freezes, frames)
    mean = (later.frame_delay - earlier.frame_delay) / frames
    variance = (later.squared_frame_delay - earlier.squared_frame_delay) / frames - mean**2
    return freezes, freezes * (mean + sqrt(max(variance, 0) * (frames - freezes) / freezes))


def hearing_between(earlier: InboundCounters, later: InboundCounters) -> tuple[float | None, float | None]:
    """The share of the sound that was concealed, in percent, and the E-model's MOS of it.

    Silent concealed samples count as far as packets were lost: one that is lost in a pause (DTX) makes a long
    silence that nobody hears. Loss for the E-model is that of packets, whose audible effect its robustness
    factor has, or, where more was concealed because packets came too late, that.
    """
    if earlier.audio is None or later.audio is None:
        return None, None
    samples = later.audio.samples_received - earlier.audio.samples_received
    concealed = later.audio.concealed_samples - earlier.audio.concealed_samples
    silent = later.audio.silent_concealed_samples - earlier.audio.silent_concealed_samples
    if samples <= 0:
        return None, None
    lost = max(later.packets_lost - earlier.packets_lost, 0) + round(packets_unseen(earlier, later))
    packets = later.packets_received - earlier.packets_received + lost
    concealed = max(min(concealed, max(concealed - silent, lost * SAMPLES_IN_A_PACKET)), 0)
    if packets <= 0:
        return 100 * concealed / samples, None
    loss = max(lost / packets, min(concealed / (packets * SAMPLES_IN_A_PACKET), 1))
    mos = mean_opinion_score(loss=100 * loss, delay_ms=1000 * (one_way_delay(earlier, later) or 0.0))
    return 100 * concealed / samples, mos


def one_way_delay(earlier: InboundCounters, later: InboundCounters) -> float | None:
    """From LiveKit's server to the ear, in s: half the round trip, and the wait in the jitter buffer."""
    if earlier.audio is None or later.audio is None:
        return None
    emitted = later.audio.jitter_buffer_emitted - earlier.audio.jitter_buffer_emitted
    if emitted <= 0:
        return None
    waited = later.audio.jitter_buffer_delay - earlier.audio.jitter_buffer_delay
    return (later.round_trip_time or 0.0) / 2 + waited / emitted


def packets_unseen(earlier: InboundCounters, later: InboundCounters) -> float:
    """About how many packets of sound are missing that `packets_lost` says nothing of.

    libwebrtc takes a gap of more than 50 sequence numbers for a restart of the stream (`UpdateOutOfOrder`),
    so a second without sound would count as no loss at all. It shows as concealed sound that no lost packet
    explains (one stands for 20 ms of speech, or for the longer time between two packets of a pause), in time
    that no packet covers, either: sound that only came late is covered. (A device that stalls looks the
    same; one of which nothing comes for over 10 s has stopped.)
    """
    if earlier.audio is None or later.audio is None:
        return 0.0
    samples = later.audio.samples_received - earlier.audio.samples_received
    concealed = later.audio.concealed_samples - earlier.audio.concealed_samples
    packets = later.packets_expected - earlier.packets_expected
    lost = max(later.packets_lost - earlier.packets_lost, 0)
    each = max(samples / packets, SAMPLES_IN_A_PACKET) if packets > 0 else 0
    unexplained = min(concealed - lost * each, samples - packets * SAMPLES_IN_A_PACKET)
    unseen = max(unexplained / SAMPLES_IN_A_PACKET, 0.0)
    return unseen if round(unseen) <= MOST_UNSEEN else 0.0
