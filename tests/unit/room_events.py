"""LiveKit's own objects, made by hand, for what handlers of room events do with them."""

from livekit import rtc
from livekit.rtc._proto import e2ee_pb2, participant_pb2, track_pb2
from livekit.rtc.participant import RemoteParticipant
from livekit.rtc.track_publication import RemoteTrackPublication


def participant(identity: str = "student-1") -> RemoteParticipant:
    owned = participant_pb2.OwnedParticipant()
    owned.info.identity, owned.info.sid, owned.info.name = identity, f"PA_{identity}", identity
    owned.info.metadata = ""
    return RemoteParticipant(owned)


def publication(
    who: RemoteParticipant, sid: str = "TR_1", *, encrypted: bool = False, subscribed: bool = True
) -> RemoteTrackPublication:
    """A microphone of theirs."""
    owned = track_pb2.OwnedTrackPublication()
    owned.info.sid, owned.info.kind = sid, track_pb2.TrackKind.KIND_AUDIO
    owned.info.source = track_pb2.TrackSource.SOURCE_MICROPHONE
    owned.info.muted = False
    owned.info.encryption_type = e2ee_pb2.EncryptionType.GCM if encrypted else e2ee_pb2.EncryptionType.NONE
    made = RemoteTrackPublication(owned)
    made._subscribed = subscribed
    who._track_publications[sid] = made
    return made


def connected_room() -> rtc.Room:
    room = rtc.Room()
    room._connection_state = rtc.ConnectionState.CONN_CONNECTED
    return room
