from pathlib import Path

import pytest
from pydantic import SecretStr, ValidationError

from agent.session.errors import RecorderError, SettingsIncomplete
from agent.settings import Settings

COMPLETE = {
    "LIVEKIT_URL": "wss://example.livekit.cloud",
    "LIVEKIT_API_KEY": "APIkey",
    "LIVEKIT_API_SECRET": "secret-of-livekit",
    "DATABASE_URL": "postgresql://me:secret-of-postgres@db/recorder",
    "OPENAI_API_KEY": "secret-of-openai",
}


@pytest.fixture(autouse=True)
def _bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
        monkeypatch.delenv(name, raising=False)


def settings() -> Settings:
    return Settings(_env_file=None)


def set_all(monkeypatch: pytest.MonkeyPatch, variables: dict[str, str]) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)


def test_everything_that_is_missing_is_named_at_once() -> None:
    with pytest.raises(SettingsIncomplete) as raised:
        settings().require_complete()
    assert [name.split()[0] for name in raised.value.missing] == list(COMPLETE)
    assert all(name in str(raised.value) for name in COMPLETE)
    assert isinstance(raised.value, RecorderError)


@pytest.mark.parametrize("missing", COMPLETE)
def test_one_missing_setting_is_named_alone(missing: str, monkeypatch: pytest.MonkeyPatch) -> None:
    set_all(monkeypatch, COMPLETE | {missing: ""})
    with pytest.raises(SettingsIncomplete) as raised:
        settings().require_complete()
    assert [name.split()[0] for name in raised.value.missing] == [missing]
    assert "secret-of" not in str(raised.value)


def test_with_everything_there_nothing_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    set_all(monkeypatch, COMPLETE)
    settings().require_complete()


def test_a_transcription_server_of_ones_own_needs_no_key(monkeypatch: pytest.MonkeyPatch) -> None:
    set_all(monkeypatch, COMPLETE | {"OPENAI_API_KEY": "", "OPENAI_BASE_URL": "http://localhost:9000/v1"})
    settings().require_complete()


def test_the_defaults_are_those_of_the_design() -> None:
    defaults = settings()
    assert defaults.recorder_room_prefix == "coaching-"
    assert defaults.recorder_whisper_model == "whisper-1"
    assert defaults.recorder_language == ""
    assert defaults.recorder_stats_interval == 10
    assert defaults.recorder_health_port == 8081
    assert defaults.recorder_video == "sampled"
    assert defaults.recorder_max_rooms == 0
    assert defaults.recorder_jobs == "process"


def test_an_empty_prefix_is_a_prefix(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RECORDER_ROOM_PREFIX", "")
    assert settings().recorder_room_prefix == ""


def test_the_number_of_rooms_that_is_set_is_the_number_of_rooms(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RECORDER_MAX_ROOMS", "3")
    assert settings().recorder_max_rooms == 3


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("RECORDER_STATS_INTERVAL", "0"),
        ("RECORDER_STATS_INTERVAL", "nan"),
        ("RECORDER_HEALTH_PORT", "65536"),
        ("RECORDER_MAX_ROOMS", "-1"),
        ("RECORDER_TRANSCRIPTION_CONCURRENCY", "0"),
        ("RECORDER_TRANSCRIPTION_GRACE", "241"),
        ("RECORDER_VIDEO", "sometimes"),
        ("RECORDER_LOG_LEVEL", "LOUD"),
    ],
)
def test_a_value_that_cannot_be_is_refused(name: str, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(ValidationError, match=name.lower()):
        settings()


def test_secrets_do_not_show(monkeypatch: pytest.MonkeyPatch) -> None:
    set_all(monkeypatch, COMPLETE)
    complete = settings()
    assert complete.database_url.get_secret_value() == COMPLETE["DATABASE_URL"]
    for shown in (repr(complete), str(complete), str(complete.model_dump()), complete.model_dump_json()):
        assert "secret-of" not in shown


def test_settings_go_through_the_environment_unchanged(monkeypatch: pytest.MonkeyPatch) -> None:
    original = Settings(
        _env_file=None,
        livekit_url="ws://127.0.0.1:7880",
        livekit_api_key="APIkey",
        livekit_api_secret=SecretStr("secret = with 'quotes' #1"),
        database_url=SecretStr("postgresql://me:p%40ss@db/recorder"),
        openai_base_url="http://127.0.0.1:9000/v1",
        recorder_room_prefix="",
        recorder_stats_interval=2.5,
        recorder_video="always",
        recorder_max_rooms=7,
        recorder_spool_dir=Path("/var/spool/with space"),
        recorder_health_port=0,
        recorder_log_level="DEBUG",
    )
    set_all(monkeypatch, original.as_environment())
    assert settings() == original


def test_every_setting_is_described_and_none_can_be_changed() -> None:
    assert all(field.description for field in Settings.model_fields.values())
    with pytest.raises(ValidationError, match="frozen"):
        settings().livekit_url = "ws://elsewhere"  # type: ignore[misc]
