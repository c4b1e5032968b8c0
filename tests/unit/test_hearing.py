"""A microphone that is on and not heard: from when to when, and why."""

from collections.abc import Callable
from datetime import datetime
from typing import cast

import pytest
from livekit import rtc
from livekit.rtc.track_publication import RemoteTrackPublication

from agent import hearing, microphones
from agent.ear import Ear
from agent.hearing import Hearing
from agent.microphones import CHANGES, Microphones
from agent.receiving import Receiving
from agent.recorder import Recorder
from agent.session.events import Event, GapNoted, MicrophoneChanged
from tests.unit.builders import at
from tests.unit.room_events import connected_room, participant, publication

CLIENT_LEFT = rtc.DisconnectReason.CLIENT_INITIATED
TIMED_OUT = rtc.DisconnectReason.CONNECTION_TIMEOUT


class Record:
    """What is told."""

    def __init__(self) -> None:
        self.began_at = at(0)
        self.predecessor_until: datetime | None = None
        self.told: list[Event] = []

    def record(self, event: Event) -> None:
        self.told.append(event)

    def when_claimed(self, tell: Callable[[datetime | None], None]) -> None:
        tell(self.predecessor_until)


class FirstSample:
    """An ear, as far as it matters here."""

    def __init__(self, first: datetime) -> None:
        self.frames_until: datetime | None = first
        self._first = first

    def time_of(self, _sample: int) -> datetime:
        return self._first


class Scene:
    """One participant's microphone, and a clock that a test moves."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *, has_key: bool = False) -> None:
        self.clock = 0.0
        for module in (hearing, microphones):
            monkeypatch.setattr(module, "now", lambda: at(self.clock))
        self.room = connected_room()
        self.record = Record()
        recorder = cast("Recorder", self.record)
        self.receiving = Receiving(self.room, has_key=has_key)
        self.hearing = Hearing(self.room, recorder, self.receiving)
        self.microphones = Microphones(self.room, recorder, self.hearing)
        self.who = participant()

    def publish(
        self, seconds: float, *, encrypted: bool = False, subscribed: bool = True
    ) -> RemoteTrackPublication:
        self.clock = seconds
        made = publication(self.who, encrypted=encrypted, subscribed=subscribed)
        self.hearing.turned_on(made, self.who, at(seconds), before_us=False)
        return made

    def first_sample(self, of: RemoteTrackPublication, seconds: float) -> FirstSample:
        self.clock = seconds
        ear = FirstSample(at(seconds))
        self.hearing.heard(of, cast("Ear", ear))
        return ear

    def silent(self, of: RemoteTrackPublication, seconds: float, silence: float | None) -> None:
        self.clock = seconds
        self.hearing.looked(of, silence)

    def leave(
        self, of: RemoteTrackPublication, seconds: float, reason: rtc.DisconnectReason.ValueType
    ) -> None:
        self.clock = seconds
        self.hearing.turned_off(of.sid, at(seconds))
        self.who._info.disconnect_reason = reason
        self.room.emit("participant_disconnected", self.who)

    @property
    def gaps(self) -> list[tuple[str, float, float]]:
        self.hearing.close()
        told = [event for event in self.record.told if isinstance(event, GapNoted)]
        return [(g.reason, (g.at - at(0)).total_seconds(), (g.until - at(0)).total_seconds()) for g in told]


@pytest.fixture
async def scene(monkeypatch: pytest.MonkeyPatch) -> Scene:
    return Scene(monkeypatch)


async def test_the_first_moments_are_those_of_subscribing(scene: Scene) -> None:
    microphone = scene.publish(10, subscribed=False)
    scene.first_sample(microphone, 10.2)
    scene.leave(microphone, 60, CLIENT_LEFT)
    assert scene.gaps == [("subscribing", 10, 10.2)]


async def test_an_encrypted_microphone_is_a_gap_from_on_to_off(scene: Scene) -> None:
    microphone = scene.publish(10, encrypted=True, subscribed=False)
    scene.leave(microphone, 25, CLIENT_LEFT)
    assert scene.gaps == [("encrypted", 10, 25)]


async def test_what_lasts_is_told_piece_by_piece(scene: Scene) -> None:
    microphone = scene.publish(10, encrypted=True, subscribed=False)
    for scene.clock in range(10, 80):
        scene.hearing._tick()
    scene.leave(microphone, 80, CLIENT_LEFT)
    assert [reason for reason, _, _ in scene.gaps] == ["encrypted"] * 3
    assert [(begin, end) for _, begin, end in scene.gaps] == [(10, 41), (41, 72), (72, 80)]


async def test_a_permission_that_comes_late_was_withheld_until_then(scene: Scene) -> None:
    microphone = scene.publish(10, subscribed=False)
    scene.clock = 20
    microphone._subscribed = True
    scene.room.emit("track_subscribed", None, microphone, scene.who)
    scene.first_sample(microphone, 20.2)
    assert scene.gaps == [("not_permitted", 10, 20.2)]


async def test_a_microphone_that_was_never_subscribed_is_not_permitted(scene: Scene) -> None:
    microphone = scene.publish(10, subscribed=False)
    scene.leave(microphone, 30, CLIENT_LEFT)
    assert scene.gaps == [("not_permitted", 10, 30)]


async def test_what_was_withheld_before_we_came_nobody_knows(scene: Scene) -> None:
    scene.record.began_at = at(15)
    microphone = scene.publish(10, subscribed=False)
    scene.leave(microphone, 30, CLIENT_LEFT)
    assert scene.gaps == [("recorder_joined_late", 10, 15), ("not_permitted", 15, 30)]


async def test_what_a_recorder_before_us_heard_is_not_missing(scene: Scene) -> None:
    scene.record.began_at, scene.record.predecessor_until = at(20), at(18)
    microphone = scene.publish(10)
    scene.first_sample(microphone, 20.5)
    assert scene.gaps == [("recorder_taken_over", 18, 20.5)]


async def test_a_permission_withdrawn_is_a_gap_until_it_is_given_again(scene: Scene) -> None:
    microphone = scene.publish(10)
    ear = scene.first_sample(microphone, 10.1)
    ear.frames_until = at(30)
    scene.silent(microphone, 31, None)
    scene.silent(microphone, 33, None)
    scene.first_sample(microphone, 40)
    scene.hearing.deaf(microphone, cast("Ear", ear))  # the old subscription ends after the new one has begun
    assert scene.gaps == [("subscribing", 10, 10.1), ("not_permitted", 30, 40)]


async def test_a_device_that_stops_is_a_gap_from_the_last_packet_to_the_next(scene: Scene) -> None:
    microphone = scene.publish(10)
    scene.first_sample(microphone, 10.1)
    for seconds, silence in ((20, 0.4), (22, 2.4), (24, 4.4), (24.2, 0.1), (26, 0.0)):
        scene.silent(microphone, seconds, silence)
    assert scene.gaps == [("subscribing", 10, 10.1), ("not_received", 19.6, 24.1)]


@pytest.mark.parametrize("kind", ["AGENT", "SIP", "INGRESS"])
async def test_a_program_or_a_telephone_may_send_nothing_while_it_is_silent(scene: Scene, kind: str) -> None:
    scene.who._info.kind = rtc.ParticipantKind.Value(f"PARTICIPANT_KIND_{kind}")
    microphone = scene.publish(10)
    scene.first_sample(microphone, 10.1)
    for seconds, silence in ((24, 4.4), (24.2, 0.1), (50, 20.0)):
        scene.silent(microphone, seconds, silence)
    scene.leave(microphone, 60, CLIENT_LEFT)
    assert scene.gaps == [("subscribing", 10, 10.1)]


async def test_a_pause_is_no_gap(scene: Scene) -> None:
    microphone = scene.publish(10)
    scene.first_sample(microphone, 10.1)
    for seconds in range(11, 60):
        scene.silent(microphone, seconds, 0.4 + seconds % 3 * 0.4)  # DTX; of some packets each is lost
    assert scene.gaps == [("subscribing", 10, 10.1)]


@pytest.mark.parametrize(
    ("reason", "told"),
    [
        (TIMED_OUT, "connection_lost"),
        (rtc.DisconnectReason.DUPLICATE_IDENTITY, "connection_lost"),
        (CLIENT_LEFT, "not_received"),
    ],
)
async def test_a_client_that_died_has_lost_its_connection(
    scene: Scene, reason: rtc.DisconnectReason.ValueType, told: str
) -> None:
    microphone = scene.publish(10)
    scene.first_sample(microphone, 10.1)
    scene.silent(microphone, 22, 2.5)
    scene.leave(microphone, 40, reason)
    assert scene.gaps[1:] == [(told, 19.5, 40)]


async def test_one_that_livekit_calls_lost_meanwhile_has_lost_its_connection(scene: Scene) -> None:
    microphone = scene.publish(10)
    scene.first_sample(microphone, 10.1)
    scene.silent(microphone, 22, 2.5)
    scene.room.emit("connection_quality_changed", scene.who, rtc.ConnectionQuality.QUALITY_LOST)
    scene.silent(microphone, 35, 0.1)
    assert scene.gaps[1:] == [("connection_lost", 19.5, 34.9)]


async def test_while_we_are_cut_off_nobody_else_is_to_blame(scene: Scene) -> None:
    microphone = scene.publish(10)
    scene.first_sample(microphone, 10.1)
    scene.room._connection_state = rtc.ConnectionState.CONN_RECONNECTING
    scene.silent(microphone, 20, 5.0)
    scene.clock = 21
    scene.room._connection_state = rtc.ConnectionState.CONN_CONNECTED
    scene.room.emit("reconnected")
    scene.silent(microphone, 22, 7.0)
    scene.silent(microphone, 22.5, 0.0)
    assert scene.gaps == [("subscribing", 10, 10.1)]


async def test_a_key_that_does_not_fit_lets_go_of_the_track(monkeypatch: pytest.MonkeyPatch) -> None:
    scene = Scene(monkeypatch, has_key=True)
    received: list[str] = []
    scene.receiving.follow(
        received=lambda _track, publication, _who: received.append(publication.sid),
        lost=lambda _track, publication, _who: received.remove(publication.sid),
    )
    microphone = publication(scene.who, encrypted=True)
    subscribed: list[bool] = []
    monkeypatch.setattr(microphone, "set_subscribed", subscribed.append)
    track = microphone._track = cast("rtc.RemoteAudioTrack", object())
    scene.room.emit("track_subscribed", track, microphone, scene.who)
    assert received == []
    scene.room.emit("e2ee_state_changed", scene.who, rtc.EncryptionState.OK)
    assert received == ["TR_1"]
    scene.room.emit("e2ee_state_changed", scene.who, rtc.EncryptionState.DECRYPTION_FAILED)
    assert (received, subscribed) == ([], [False])
    assert not scene.receiving.wanted(microphone)


async def test_mutes_without_end_are_told_ten_times_a_second(scene: Scene) -> None:
    microphone = publication(scene.who)
    scene.room.emit("track_published", microphone, scene.who)
    for number in range(1000):
        scene.clock = number / 1000
        microphone._info.muted = number % 2 == 0
        scene.room.emit("track_muted" if microphone.muted else "track_unmuted", scene.who, microphone)
    told = [event for event in scene.record.told if isinstance(event, MicrophoneChanged)]
    assert len(told) <= CHANGES
    scene.microphones.close()
    told = [event for event in scene.record.told if isinstance(event, MicrophoneChanged)]
    assert (told[-1].on, told[-1].at) == (True, at(0.999))
    assert [event.on for event in told] == [index % 2 == 0 for index in range(len(told))]
