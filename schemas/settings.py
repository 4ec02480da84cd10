"""All settings, read once at start: environment (`CALLSTREAM_…`), then `.env`, then the running embedded instance."""

import json
from pathlib import Path
from typing import Annotated, Any

from pydantic import (
    AliasChoices,
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    ValidatorFunctionWrapHandler,
    WrapValidator,
)
from pydantic_core import PydanticCustomError
from pydantic_settings import BaseSettings, NoDecode, PydanticBaseSettingsSource, SettingsConfigDict

INSTANCE_FILE = "instance.json"
"""Written (mode 0600) under DATA_DIR by `callstream up`: addresses of the embedded servers, for the other commands."""
Price = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class SpeechChoice(BaseModel):
    """How recordings of one source are transcribed, where that differs from the other settings."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    model: str | None = Field(default=None, min_length=1)
    language: str | None = Field(default=None, pattern=r"^[a-z]{2,3}$")


class OAuthClient(BaseModel):
    """Our registration with one source's authorization server."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    client_id: str = Field(min_length=1)
    client_secret: SecretStr = SecretStr("")


def _as_json(example: str) -> WrapValidator:
    """A setting that is given as JSON; what is wrong with it is said together with how to write it."""

    def read(value: Any, validate: ValidatorFunctionWrapHandler) -> Any:
        try:
            return validate(json.loads(value) if isinstance(value, str) else value)
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            found = ": ".join([*map(str, first["loc"]), first["msg"]])
        except ValueError:
            found = "it is no JSON"
        how = f"write it in one line as {example}"
        raise PydanticCustomError("setting_as_json", "{how} ({found})", {"how": how, "found": found})

    return WrapValidator(read)


class Settings(BaseSettings):
    """Every setting with its default. Unset `kafka` or `database_url` means: the embedded one."""

    model_config = SettingsConfigDict(
        env_prefix="CALLSTREAM_", env_file=".env", frozen=True, extra="ignore", env_ignore_empty=True
    )

    data_dir: Path = Path(".callstream")
    host: str = "127.0.0.1"
    port: int = 8400
    public_url: str | None = None
    kafka: str | None = None
    database_url: SecretStr | None = None
    """The application's login: owns nothing, is no superuser."""
    database_owner_url: SecretStr | None = None
    """The owner's login, used only by `callstream migrate`. Default: `database_url`."""
    media_url: str | None = None
    """`file:///…`, `s3://…`, `gs://…`, `az://…`. Default: `DATA_DIR/media`."""
    secret_keys: SecretStr | None = None
    """`id:base64` pairs, comma-separated, newest first. Embedded mode makes one."""
    partitions: int = Field(default=8, ge=1, le=1000)
    replication_factor: int = Field(default=1, ge=1)
    log_level: str = "INFO"
    group_prefix: str = "callstream"
    """Consumer groups and Faust apps are named `<prefix>-<role>`."""

    openai_api_key: SecretStr | None = Field(
        default=None, validation_alias=AliasChoices("OPENAI_API_KEY", "CALLSTREAM_OPENAI_API_KEY")
    )
    openai_base_url: str | None = Field(
        default=None, validation_alias=AliasChoices("OPENAI_BASE_URL", "CALLSTREAM_OPENAI_BASE_URL")
    )
    openai_model: str = "whisper-1"
    openai_language: str | None = None
    speech_prices: Annotated[dict[str, Price], NoDecode, _as_json('{"whisper-1": 0.006}')] = {}
    """US dollars a minute by model, as JSON: where a price has changed, and for models and services we do not know."""
    speech_by_source: Annotated[dict[str, SpeechChoice], NoDecode, _as_json('{"zoom": {"language": "de"}}')] = {}
    """Model and language for single sources, as JSON: `{"zoom": {"model": "…", "language": "de"}}`."""
    transcribe_chunks: int = Field(default=3, ge=1)
    """Parts of one long recording that are transcribed at a time."""
    transcribe_window: int = Field(default=4, ge=1)
    """Transcriptions in flight per worker."""
    transcribe_timeout_seconds: float = 900.0

    upload_max_bytes: int = 2 * 1024**3
    webhook_max_bytes: int = 5 * 1024**2
    webhook_tolerance_seconds: int = 300
    media_allow_hosts: str = ""
    """Comma-separated `host:port` a media URL may name although private or plain http. For tests and intranets."""

    oauth_clients: Annotated[
        dict[str, OAuthClient], NoDecode, _as_json('{"zoom": {"client_id": "…", "client_secret": "…"}}')
    ] = {}
    """Our registrations for "Connect with …", as JSON by source. Google's serves `youtube` and `google_meet` each."""
    vendor_origin: str | None = None
    """Where requests to sources are sent instead, as ORIGIN/host/path. For tests and the demo."""
    pull_window: int = Field(default=6, ge=1)
    """Pages in flight per pull worker."""
    pull_slice_seconds: float = Field(default=20.0, gt=0)
    """A command works this long at most before it gives others their turn."""
    first_sync_days: int = Field(default=30, ge=1)
    """How far the first sync of a new source looks back. Older calls come with a historical import."""
    sync_minutes: int = Field(default=60, ge=5)
    """How often a source is synced, unless it says otherwise."""

    oidc_issuer: str | None = None
    """The identity provider that people of this installation sign in with, as its tokens name it in `iss`."""
    oidc_audience: str | None = None
    """Whom a token must be for (`aud`) to be taken in place of an API key. Default: `oidc_client_id`."""
    oidc_jwks_url: str | None = None
    """Where the provider publishes its keys. Default: what its discovery document says."""
    oidc_client_id: str | None = None
    """Our registration with the provider, for signing in by browser. Unset: by one-time links only."""
    oidc_client_secret: SecretStr | None = None
    oidc_name: str | None = Field(default=None, max_length=60)
    """What the button says: "Sign in with …". Default: the provider's host."""
    oidc_workspace_claim: str | None = None
    """The claim that names a person's workspace, by id or name. Unset: everybody belongs to the home workspace."""
    oidc_role_claim: str | None = None
    """The claim that says owner, support or member. Unset: new people are members, and an owner may change that."""

    plans: Annotated[dict[str, Annotated[int, Field(ge=0)] | None], NoDecode, _as_json('{"free": 10}')] = {"free": 10}
    """Plans that a workspace may be given, as JSON: how many calls it may import a month; null: without limit. A
    workspace has none at first, and then no limit."""
    webhook_allow_hosts: str = ""
    """Comma-separated `host:port` that outgoing webhooks may go to although private; where it is this very machine,
    over plain http too. For tests and intranets."""

    window: int = Field(default=400, ge=1)
    """Events in flight per fast agent."""
    breaker: int = Field(default=20, ge=1)
    """That many bugs in a row on a partition stop the worker rather than pour a whole topic into the dead letters."""
    session_timeout_seconds: float = 15.0
    stall_seconds: float = 60.0
    """A role whose committed offsets stand still this long while it has lag is restarted."""
    audit_after_seconds: float = 120.0
    """An accepted event without an outcome for this long, with no lag in its stages, is published again."""
    retry_schedule_seconds: tuple[int, ...] = (300, 1800, 3600, 10800, 21600)
    max_attempts: int = 8
    worker_name: str | None = None
    """Names this worker process in heartbeats, as `dedup-1`. Default: the role."""
    worker_dir: Path | None = None
    """The worker's own folder, for one process at a time. Default: `DATA_DIR/workers/<name>`."""
    log_pretty: bool = False
    """Readable lines instead of JSON, for a person at a terminal."""
    worker_port: int | None = None
    """Where a worker answers /health/live, /health/ready and /metrics. Unset: nowhere."""

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Arguments, then environment, then `.env`. Nothing else."""
        return init_settings, env_settings, dotenv_settings


def load_settings(**overrides: Any) -> Settings:
    """Settings with the addresses of the running embedded instance filled in where none were given."""
    settings = Settings(**overrides)
    instance = settings.data_dir / INSTANCE_FILE
    if (settings.kafka and settings.database_url) or not instance.exists():
        return settings
    found = json.loads(instance.read_text())
    gaps = {
        name: found[name]
        for name in ("kafka", "database_url", "database_owner_url", "secret_keys")
        if getattr(settings, name) is None and found.get(name)
    }
    gaps |= {name: found[name] for name in ("host", "port") if name not in settings.model_fields_set and name in found}
    return Settings(**{**overrides, **gaps})
