"""Every setting, once. `--help` and the README's table are made from these descriptions."""

from functools import lru_cache
from pathlib import Path
from typing import Literal
from uuid import UUID

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

from agent.session.errors import SettingsIncomplete
from agent.session.user_ids import DEFAULT_NAMESPACE


class Settings(BaseSettings):
    """Read from the environment (and from a `.env` file, which the environment overrides)."""

    model_config = SettingsConfigDict(env_file=".env", extra="ignore", frozen=True)

    livekit_url: str = Field("", description="LiveKit server, e.g. wss://project.livekit.cloud")
    livekit_api_key: str = Field("", description="LiveKit API key")
    livekit_api_secret: SecretStr = Field(SecretStr(""), description="LiveKit API secret")
    database_url: SecretStr = Field(
        SecretStr(""), description="PostgreSQL, e.g. postgresql://user:password@host/database"
    )
    openai_api_key: SecretStr = Field(
        SecretStr(""),
        description="Key of the transcription service; needed for OpenAI, any text for a local server",
    )
    openai_base_url: str = Field(
        "", description="Server with OpenAI's transcription API; empty = OpenAI itself"
    )

    recorder_room_prefix: str = Field(
        "coaching-", description="Rooms whose name starts so are recorded; empty = every room"
    )
    recorder_dispatch: Literal["own", "automatic", "named"] = Field(
        "own",
        description="How a recorder comes to a room: own (the workers see each new room themselves; LiveKit "
        "sends them none, and may send it to agents of yours), automatic (LiveKit sends each new room; "
        "only where no other worker without agent_name is there), named (whoever makes tokens or rooms "
        "dispatches RECORDER_AGENT_NAME)",
    )
    recorder_agent_name: str = Field(
        "coaching-recorder", min_length=1, description="Name to dispatch where RECORDER_DISPATCH is named"
    )
    recorder_whisper_model: str = Field("whisper-1", description="Model named in each transcription request")
    recorder_language: str = Field("", description="ISO 639-1 language of the speech; empty = detect")
    recorder_e2ee_key: SecretStr = Field(
        SecretStr(""),
        description="Key that all rooms share for end-to-end encryption, as LiveKit's clients are given it; "
        "empty = encrypted tracks are not heard, and the record says so. Use it with `RECORDER_JOBS=process` "
        "only",
    )
    recorder_stats_interval: float = Field(10.0, ge=1, le=60, description="Seconds between quality readings")
    recorder_video: Literal["always", "sampled", "never"] = Field(
        "sampled",
        description="How cameras are received for their readings: sampled (for 90 s, then 1.8 s of each "
        "interval), always (exact, with each freeze; decoding it costs ten times as much), never (no "
        "figures for video)",
    )
    recorder_max_rooms: int = Field(
        0,
        ge=0,
        description="Rooms this worker takes before it says it is full; 0 = as many as it finds that "
        "the machine bears, and more when no other worker takes them",
    )
    recorder_jobs: Literal["process", "thread"] = Field(
        "process",
        description="What runs a room's recorder: a process of its own (one that crashes touches no "
        "other room), or a thread of the worker (a fraction of the memory)",
    )
    recorder_idle_processes: int = Field(
        2, ge=0, description="Processes, or threads, kept warm for the next rooms"
    )
    recorder_transcription_concurrency: int = Field(
        2, ge=1, description="Transcription requests under way at once, per room"
    )
    recorder_transcription_grace: float = Field(
        60.0, ge=0, le=240, description="Seconds after the room's end in which late words are still awaited"
    )
    recorder_reconcile_interval: float = Field(
        2.0, ge=0.5, le=60, description="Seconds between looks for rooms without a recorder"
    )
    recorder_stale_after: float = Field(
        7200.0,
        ge=60,
        description="Seconds in progress after which a session whose room is gone is completed",
    )
    recorder_unused_after: float = Field(
        600.0,
        ge=1,
        description="Seconds after which a session that was opened and never entered is removed",
    )
    recorder_spool_dir: Path = Field(
        Path(".recorder/spool"), description="Where events wait on disk while the database is away"
    )
    recorder_spool_mb: int = Field(
        1024, ge=1, description="MB of events that may wait in RECORDER_SPOOL_DIR; beyond it in memory only"
    )
    recorder_audio_mb: int = Field(
        1024,
        ge=0,
        description="MB of speech that may wait for its words in RECORDER_SPOOL_DIR/audio; 0 = none",
    )
    recorder_data_dir: Path = Field(
        Path(".recorder"), description="Where `dev` keeps its local database and models"
    )
    recorder_health_port: int = Field(
        8081, ge=0, le=65535, description="Port of the worker's health check; 0 = any free one"
    )
    recorder_health_host: str = Field(
        "127.0.0.1",
        description="Address that RECORDER_HEALTH_PORT is opened on; 0.0.0.0 = all, as a container needs it "
        "that is asked from outside",
    )
    recorder_http_port: int = Field(
        0, ge=0, le=65535, description="Port of /livekit/webhook, /health and /metrics; 0 = none of them"
    )
    recorder_http_host: str = Field(
        "127.0.0.1", description="Address that RECORDER_HTTP_PORT is opened on; 0.0.0.0 = all"
    )
    recorder_metrics_token: SecretStr = Field(
        SecretStr(""), description="What /metrics asks for as a bearer token; empty = nothing"
    )
    recorder_log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field(
        "INFO", description="Least severity that is logged"
    )
    recorder_local_whisper: str = Field(
        "base",
        description="Model of the local Whisper server: base, tiny.en, a folder, or a faster-whisper name",
    )

    web_user_id_namespace: UUID = Field(
        DEFAULT_NAMESPACE,
        description="Namespace of the UUIDs (version 5) that stand for user ids which are no UUIDs; the web "
        "part and every recorder must have the same",
    )

    def require_complete(self) -> None:
        """Raise `SettingsIncomplete` naming every setting that production needs and lacks."""
        missing = [
            name.upper()
            for name in ("livekit_url", "livekit_api_key", "livekit_api_secret", "database_url")
            if not _text(getattr(self, name))
        ]
        if not (self.openai_base_url or _text(self.openai_api_key)):
            missing.append("OPENAI_API_KEY (or OPENAI_BASE_URL for a server of your own)")
        if missing:
            raise SettingsIncomplete(missing)

    def as_environment(self) -> dict[str, str]:
        """The settings as the environment variables they came from, for the processes we start."""
        return {name.upper(): _text(getattr(self, name)) for name in type(self).model_fields}


def _text(value: object) -> str:
    return value.get_secret_value() if isinstance(value, SecretStr) else str(value)


@lru_cache(maxsize=1)
def settings_from_environment() -> Settings:
    """The settings of this process, read once."""
    return Settings()
