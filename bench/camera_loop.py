"""A few seconds of 720p camera picture, encoded once and shown in turn: a publisher that costs no encoder."""

from dataclasses import dataclass
from itertools import cycle, islice
from pathlib import Path
from time import monotonic_ns

import av
import numpy as np
from livekit import rtc

from agent.demo.camera import swaying_figure

WIDTH, HEIGHT = 1280, 720
FPS = 30
SECONDS = 4
BIT_RATE = 1_200_000
# One visible frame per packet, a keyframe only at the start, and as even a bitrate as a conference has.
ENCODER = {
    "deadline": "realtime",
    "cpu-used": "8",
    "auto-alt-ref": "0",
    "lag-in-frames": "0",
    "minrate": str(BIT_RATE),
    "maxrate": str(BIT_RATE),
    "bufsize": str(BIT_RATE),
}


@dataclass(frozen=True)
class Picture:
    """One encoded frame."""

    data: bytes
    key: bool


def encode(path: Path) -> None:
    """Write the loop as an IVF file of VP8."""
    noise = np.random.default_rng(seed=5)
    with av.open(str(path), "w", format="ivf") as container:
        stream = container.add_stream("libvpx", rate=FPS, options=ENCODER)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        stream.bit_rate, stream.gop_size = BIT_RATE, 10 * FPS * SECONDS
        for picture in islice(cycle(swaying_figure(WIDTH, HEIGHT)), FPS * SECONDS):
            planes = np.frombuffer(picture.data, np.uint8).reshape(HEIGHT * 3 // 2, WIDTH).copy()
            planes[:HEIGHT] += noise.integers(0, 6, (HEIGHT, WIDTH), np.uint8)  # as every camera's sensor has
            container.mux(stream.encode(av.VideoFrame.from_ndarray(planes, format="yuv420p")))
        container.mux(stream.encode(None))


def load(path: Path) -> list[Picture]:
    """The loop's frames; the first one, and no other, is a keyframe."""
    with av.open(str(path)) as container:
        return [Picture(bytes(packet), packet.is_keyframe) for packet in container.demux() if packet.size]


class CameraLoop:
    """One published camera."""

    def __init__(self, pictures: list[Picture]) -> None:
        self._pictures = pictures
        self._next = 0
        self.source = rtc.EncodedVideoSource(WIDTH, HEIGHT)

    async def publish(self, participant: rtc.LocalParticipant) -> None:
        track = rtc.LocalVideoTrack.create_video_track("camera", self.source)
        options = rtc.TrackPublishOptions(
            source=rtc.TrackSource.SOURCE_CAMERA,
            video_codec=rtc.VideoCodec.VP8,
            video_encoder=rtc.VideoEncoderBackend.ENCODER_BACKEND_PRE_ENCODED,
            video_encoding=rtc.VideoEncoding(max_framerate=FPS, max_bitrate=2 * BIT_RATE),
            simulcast=False,
        )
        await participant.publish_track(track, options)

    def show(self) -> None:
        """Send the next frame; the keyframe again when a subscriber asks for one."""
        if self._next == len(self._pictures) or self.source.take_feedback().keyframe_requested:
            self._next = 0
        picture = self._pictures[self._next]
        self._next += 1
        kind = rtc.EncodedFrameType
        self.source.capture_frame(
            rtc.EncodedVideoFrame(
                data=picture.data,
                width=WIDTH,
                height=HEIGHT,
                codec=rtc.VideoCodec.VP8,
                frame_type=kind.ENCODED_FRAME_KEY if picture.key else kind.ENCODED_FRAME_DELTA,
                timestamp_us=monotonic_ns() // 1000,
            )
        )
