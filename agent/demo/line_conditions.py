"""What a bad line does to one packet: pass it, drop it, hold it up. Pure: time is passed in."""

import random
from dataclasses import dataclass
from typing import Literal

Direction = Literal["to_sfu", "to_client"]
Kind = Literal["audio", "video", "rtx"]

# Payload types as LiveKit's server offers them (livekit/protocol, codecs.go); video is everything else.
AUDIO = frozenset({111, 63, 0, 8})  # Opus, Opus in RED (RFC 2198), PCMU, PCMA
RTX = frozenset({97, 99, 101, 105, 103, 126, 109, 40, 107, 124, 36, 117})  # RFC 4588: the codec's number + 1
CLOCK_RATES = {"audio": 48_000, "video": 90_000, "rtx": 90_000}


@dataclass(frozen=True)
class Conditions:
    """What a line is like. Loss and rate concern media (RTP) only; delay and jitter every packet.

    `loss`: share of packets lost, 0 to 1, at random or, with `burst_length` > 1, in bursts of that mean
    length. `delay`: seconds. `jitter`: seconds; up to so much more delay, at random, the order kept. `kbps`:
    a bottleneck per client, in kbit/s of whole packets, before which at most `queue` seconds wait; what would
    wait longer is dropped. None: as fast as may be.
    """

    loss: float = 0.0
    burst_length: float = 1.0
    delay: float = 0.0
    jitter: float = 0.0
    kbps: float | None = None
    queue: float = 0.2


GOOD = Conditions()


@dataclass(frozen=True)
class Packet:
    """The fixed header of RTP (RFC 3550 5.1)."""

    ssrc: int
    payload_type: int
    sequence: int
    timestamp: int
    size: int

    @property
    def kind(self) -> Kind:
        return "audio" if self.payload_type in AUDIO else "rtx" if self.payload_type in RTX else "video"


def rtp_of(datagram: bytes) -> Packet | None:
    """Its RTP header, which SRTP leaves in the clear; None for STUN, DTLS (RFC 7983) and RTCP (RFC 5761)."""
    if len(datagram) < 12 or not 128 <= datagram[0] <= 191 or 192 <= datagram[1] <= 223:
        return None
    number = int.from_bytes
    return Packet(
        ssrc=number(datagram[8:12]),
        payload_type=datagram[1] & 0x7F,
        sequence=number(datagram[2:4]),
        timestamp=number(datagram[4:8]),
        size=len(datagram),
    )


@dataclass(slots=True)
class Count:
    """What became of one stream of RTP packets in one direction.

    `span`: sequence numbers from the first to the highest, so that `span - passed - dropped` were missing
    already when they came here. `jitter`: RFC 3550 6.4.1, in seconds, as they left here; `mean_jitter`: its
    mean over all packets.
    """

    direction: Direction
    client: str
    ssrc: int
    kind: Kind
    passed: int = 0
    dropped: int = 0
    span: int = 0
    bytes_passed: int = 0
    jitter: float = 0.0
    mean_jitter: float = 0.0
    longest_pause: float = 0.0

    @property
    def missing_before(self) -> int:
        return self.span - self.passed - self.dropped


class Stream:
    """One SSRC in one direction: its luck, its count."""

    def __init__(self, count: Count, luck: random.Random) -> None:
        self.count = count
        self.to_drop = 0  # so many of the next packets, whatever the conditions
        self._luck = luck
        self._bad = False
        self._highest: int | None = None
        self._transit: float | None = None
        self._left: float | None = None

    def is_lost(self, conditions: Conditions) -> bool:
        """Decide on the next packet: Bernoulli, or the two states of a Gilbert model."""
        if self.to_drop:
            self.to_drop -= 1
            return True
        if conditions.burst_length <= 1:
            return self._luck.random() < conditions.loss
        ends = 1 / conditions.burst_length
        begins = ends * conditions.loss / (1 - conditions.loss)
        self._bad = self._luck.random() < (1 - ends if self._bad else begins)
        return self._bad

    def note(self, packet: Packet, leaves_at: float | None) -> None:
        """Count it as dropped (None) or as leaving at that time."""
        self._note_sequence(packet.sequence)
        if leaves_at is None:
            self.count.dropped += 1
            return
        self.count.passed += 1
        self.count.bytes_passed += packet.size
        if self._left is not None:
            self.count.longest_pause = max(self.count.longest_pause, leaves_at - self._left)
        self._left = leaves_at
        self._note_transit(leaves_at - packet.timestamp / CLOCK_RATES[packet.kind])

    def _note_sequence(self, sequence: int) -> None:
        if self._highest is None:
            self._highest, self.count.span = sequence, 1
            return
        ahead = (sequence - self._highest) & 0xFFFF
        if 0 < ahead < 0x8000:
            self._highest = sequence
            self.count.span += ahead

    def _note_transit(self, transit: float) -> None:
        count = self.count
        if self._transit is not None and abs(transit - self._transit) < 1:  # not where timestamps start anew
            count.jitter += (abs(transit - self._transit) - count.jitter) / 16
            count.mean_jitter += (count.jitter - count.mean_jitter) / count.passed
        self._transit = transit


@dataclass(slots=True)
class Pipe:
    """One direction of one client's line: what leaves when."""

    last: float = 0.0  # when the last packet leaves: none overtakes another
    busy_until: float = 0.0  # the bottleneck

    def leaves_at(
        self, now: float, conditions: Conditions, rtp_bytes: int, luck: random.Random
    ) -> float | None:
        """When a packet that comes now leaves; None when the queue is full."""
        leaves = now
        if conditions.kbps and rtp_bytes:
            leaves = max(now, self.busy_until) + rtp_bytes * 8 / (conditions.kbps * 1000)
            if leaves - now > conditions.queue:
                return None
            self.busy_until = leaves
        leaves += conditions.delay + conditions.jitter * luck.random()
        self.last = max(self.last, leaves)
        return self.last
