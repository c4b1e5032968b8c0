"""What callers sent, moment by moment: the truth that stored readings are laid beside."""

import asyncio
from bisect import bisect_left
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, TypeVar

from agent.demo.caller import Caller
from agent.demo.device import Device
from agent.demo.outbound import Outbound

SAMPLE_SECONDS = 0.1
AnyDevice = TypeVar("AnyDevice", bound=Device)


@dataclass(frozen=True)
class Span:
    """What was sent in so many seconds; bytes of payload."""

    seconds: float
    bytes_sent: float
    frames_sent: float

    @property
    def kbps(self) -> float:
        return self.bytes_sent * 8 / 1000 / self.seconds

    @property
    def fps(self) -> float:
        return self.frames_sent / self.seconds


class Sent:
    """The outbound counters of a case's tracks, each sampled while it is published."""

    def __init__(self) -> None:
        self._samples: dict[str, list[Outbound]] = {}  # by track_sid
        self._on_air: list[Span] = []  # of cameras that were not muted

    @asynccontextmanager
    async def publishing(
        self, caller: Caller, device: AnyDevice, *, unpublish: bool = True
    ) -> AsyncIterator[AnyDevice]:
        """Publish a device of the caller, watch what it sends, and stop it at the end."""
        await caller.publish(device)
        watching = asyncio.create_task(self._watch(device))
        try:
            yield device
        finally:
            watching.cancel()
            with suppress(asyncio.CancelledError):
                await watching
            await device.stop()
            await self._look_at(device)  # what was sent until the very end
            if unpublish:
                await caller.unpublish(device.kind)

    def of(self, reading: Mapping[str, Any]) -> Span:
        """What was sent in a stored reading's time, in the simulcast layer that it received.

        That is one of its width; where two have it, the one whose figures are nearer.
        """
        end: datetime = reading["read_at"]
        begin = end - timedelta(seconds=reading["seconds"])
        samples = self._samples.get(reading["track_sid"], [])
        rids = {layer.rid for sample in samples for layer in sample.layers}
        if len(rids) <= 1:
            return _between(samples, begin, end)
        layers = {rid: _of_layer(samples, rid) for rid in rids}
        spans = [
            _between(layer, begin, end)
            for layer in layers.values()
            if any(sample.width == reading["width"] for sample in layer)
        ]
        return min(spans, key=lambda span: abs(span.kbps - reading["bitrate_kbps"]))

    @property
    def average(self) -> Span:
        """Of all cameras while they were published and not muted."""
        return _together(self._on_air)

    @property
    def peak_kbps(self) -> float:
        """The most that a camera sent in any second, about."""
        size = round(1 / SAMPLE_SECONDS)
        seconds = [self._on_air[start : start + size] for start in range(len(self._on_air) - size + 1)]
        return max((_together(group).kbps for group in seconds), default=0.0)

    async def _watch(self, device: Device) -> None:
        while True:
            await self._look_at(device)
            await asyncio.sleep(SAMPLE_SECONDS)

    async def _look_at(self, device: Device) -> None:
        muted, outbound = device.muted, await device.outbound()
        if outbound is None or device.publication is None:
            return
        samples = self._samples.setdefault(device.publication.sid, [])
        restarted = bool(samples) and outbound.bytes_sent < samples[-1].bytes_sent
        if samples and not muted and not restarted and device.kind == "camera":
            self._on_air.append(_from_to(samples[-1], outbound))
        samples.append(outbound)


def _together(spans: Sequence[Span]) -> Span:
    return Span(
        sum(span.seconds for span in spans),
        sum(span.bytes_sent for span in spans),
        sum(span.frames_sent for span in spans),
    )


def _from_to(earlier: Outbound, later: Outbound) -> Span:
    return Span(
        later.timestamp - earlier.timestamp,
        later.bytes_sent - earlier.bytes_sent,
        later.frames_sent - earlier.frames_sent,
    )


def _of_layer(samples: Iterable[Outbound], rid: str) -> list[Outbound]:
    return [layer for sample in samples for layer in sample.layers if layer.rid == rid]


def _between(samples: list[Outbound], begin: datetime, end: datetime) -> Span:
    (bytes_before, frames_before), (bytes_after, frames_after) = (
        _totals(samples, moment.timestamp()) for moment in (begin, end)
    )
    return Span((end - begin).total_seconds(), bytes_after - bytes_before, frames_after - frames_before)


def _totals(samples: list[Outbound], moment: float) -> tuple[float, float]:
    """Bytes and frames sent up to a moment (s since 1970), interpolated between samples."""
    if not samples:
        return 0, 0
    after = bisect_left(samples, moment, key=lambda sample: sample.timestamp)
    earlier, later = samples[max(after - 1, 0)], samples[min(after, len(samples) - 1)]
    if earlier is later:
        return earlier.bytes_sent, earlier.frames_sent
    share = (moment - earlier.timestamp) / (later.timestamp - earlier.timestamp)
    return (
        earlier.bytes_sent + share * (later.bytes_sent - earlier.bytes_sent),
        earlier.frames_sent + share * (later.frames_sent - earlier.frames_sent),
    )
