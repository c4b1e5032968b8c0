"""Whether LiveKit's server sends what we are subscribed to."""

from livekit import rtc
from livekit.rtc._ffi_client import FfiClient
from livekit.rtc._proto.ffi_pb2 import FfiRequest


def forward(publication: rtc.RemoteTrackPublication, *, wanted: bool) -> None:
    """Have a subscribed track sent or not; neither takes a negotiation, as subscribing does.

    The clients for browsers name it `setEnabled`; Python's has the request without the name.
    """
    request = FfiRequest()
    request.enable_remote_track_publication.track_publication_handle = publication._ffi_handle.handle  # noqa: SLF001
    request.enable_remote_track_publication.enabled = wanted
    FfiClient.instance.request(request)
