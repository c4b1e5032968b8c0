"""A camera whose picture moves: a figure that sways before a wall, drawn once and shown in turn."""

import asyncio
from functools import lru_cache
from itertools import cycle

import numpy as np
from livekit import rtc
from numpy.typing import NDArray

from agent.demo.device import Device

Plane = NDArray[np.uint8]

PICTURES = 16  # one sway to and fro; at 1280x720 they take 22 MB, once per process
# 460 kbit/s at 640x360 and 1.8 Mbit/s at 1280x720: about LiveKit's own presets.
BITS_PER_PIXEL_AND_SECOND = 2


class Camera(Device):
    """`fps` pictures a second, encoded as VP8, of a figure that `sways`: both may be changed while it runs.

    Where nothing sways, a picture costs a fraction of the bits. `shown`: pictures so far, fewer
    on a busy machine.
    """

    kind = "camera"
    source: rtc.VideoSource

    def __init__(self, size: tuple[int, int], fps: int, *, simulcast: bool) -> None:
        super().__init__()
        self.source = rtc.VideoSource(*size)
        self.track = rtc.LocalVideoTrack.create_video_track(self.kind, self.source)
        self.fps = fps
        self.sways = True
        self.shown = 0
        self._size = size
        self._max_fps = fps
        self._simulcast = simulcast

    def publish_options(self) -> rtc.TrackPublishOptions:
        width, height = self._size
        return rtc.TrackPublishOptions(
            source=rtc.TrackSource.SOURCE_CAMERA,
            video_codec=rtc.VideoCodec.VP8,
            video_encoding=rtc.VideoEncoding(
                max_framerate=self._max_fps, max_bitrate=width * height * BITS_PER_PIXEL_AND_SECOND
            ),
            simulcast=self._simulcast,
        )

    async def feed(self) -> None:
        """Show pictures on an absolute schedule; late ones are dropped, and none are made while muted."""
        pictures = cycle(await asyncio.to_thread(swaying_figure, *self._size))
        clock = asyncio.get_running_loop().time
        due, picture = clock(), next(pictures)
        while not self.closing:
            if not self.muted:
                self.source.capture_frame(picture)
                self.shown += 1
            if self.sways:
                picture = next(pictures)
            due = max(due + 1 / self.fps, clock())
            await asyncio.sleep(due - clock())


@lru_cache(maxsize=4)
def swaying_figure(width: int, height: int) -> list[rtc.VideoFrame]:
    """The same figure, a step further in each picture. I420, so that nothing is converted for the encoder."""
    texture = np.random.default_rng(seed=3).integers(-6, 6, (height, width))
    wall = np.linspace(90, 150, width, dtype=np.int64)[None, :] + texture
    steps = np.sin(np.linspace(0, 2 * np.pi, PICTURES, endpoint=False))
    return [_picture(wall, round(width * (0.5 + 0.1 * step))) for step in steps]


def _picture(wall: NDArray[np.int64], centre: int) -> rtc.VideoFrame:
    height, width = wall.shape
    rows, columns = np.ogrid[:height, :width]
    figure = ((columns - centre) / (0.18 * width)) ** 2 + ((rows - 0.6 * height) / (0.4 * height)) ** 2 < 1
    light: Plane = np.where(figure, wall + 70, wall).clip(16, 235).astype(np.uint8)
    coloured = figure[::2, ::2]
    blue: Plane = np.where(coloured, 110, 135).astype(np.uint8)
    red: Plane = np.where(coloured, 150, 120).astype(np.uint8)
    data = light.tobytes() + blue.tobytes() + red.tobytes()
    return rtc.VideoFrame(width, height, rtc.VideoBufferType.I420, data)
