"""Settings: `penchant.toml`, each key also as the environment variable PENCHANT_SECTION__KEY."""

import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from encoders.settings import EncoderSettings, FetchSettings
from state.settings import ModelSettings, RecommendSettings
from streams.errors import SettingsError

ENVIRONMENT_PREFIX = "PENCHANT_"


class KafkaSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How to reach Kafka. `client` holds further librdkafka settings, TLS and SASL among them."""

    bootstrap_servers: str = "127.0.0.1:9092"
    client: dict[str, str | int | float | bool] = {}
    compression: str = "none"
    session_timeout_ms: int = 6_000
    max_poll_interval_ms: int = 60_000
    transaction_timeout_ms: int = 10_000
    producer_buffer_kbytes: int = 65_536
    consumer_buffer_kbytes: int = 16_384


class TopicSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Names of the topics, and what `penchant topics create` gives them."""

    interactions: str = "interactions"
    items: str = "items"
    interactions_encoded: str = "interactions.encoded"
    items_encoded: str = "items.encoded"
    interests: str = "interests"
    recommendations: str = "recommendations"
    dead_letters: str = "dead-letters"
    item_deltas: str = "item-deltas"
    item_signals: str = "item-signals"
    partitions: int = 4
    replication: int = 1
    retention_hours: float = 168.0


class AppSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Who this deployment is, and where it keeps its files."""

    name: str = "penchant"
    data: str = "data"
    watchdog_seconds: float = 120.0
    """A worker that makes no step for so long ends its process, so that another takes over."""
    drain_seconds: float = 25.0
    """How long workers may take to end after SIGTERM; then the process ends all the same."""


class EncodeSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The encode worker."""

    batch_records: int = 256
    linger_ms: int = 5
    media_budget_seconds: float = 5.0
    """How long an event may wait for its media before they are masked."""
    unknown_item_seconds: float = 600.0
    """How long an unknown item is remembered, to amend its events when it arrives."""


class InterestsSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The interests worker."""

    batch_rows: int = 512
    queued_packs: int = 256
    """Packs that may wait in memory before fetching pauses."""
    block_cache_mb: int = 32


class MetricsSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where `/metrics`, `/healthz` and `/readyz` are served. Port 0 takes a free one, -1 serves none."""

    host: str = "127.0.0.1"
    port: int = 9464


class LogSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`format` is human or json."""

    level: str = "info"
    format: str = "human"


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Everything that can be set."""

    app: AppSettings = AppSettings()
    kafka: KafkaSettings = KafkaSettings()
    topics: TopicSettings = TopicSettings()
    encode: EncodeSettings = EncodeSettings()
    fetch: FetchSettings = FetchSettings()
    encoders: EncoderSettings = EncoderSettings()
    interests: InterestsSettings = InterestsSettings()
    model: ModelSettings = ModelSettings()
    recommend: RecommendSettings = RecommendSettings()
    actions: dict[str, str] = {}
    """Foreign action names to the known ones."""
    metrics: MetricsSettings = MetricsSettings()
    log: LogSettings = LogSettings()


def load_settings(path: Path | None = None, environment: Mapping[str, str] | None = None) -> Settings:
    """Read the file (`penchant.toml` here, where none is named and one exists), then the environment.

    Raises SettingsError with the key and the mend.
    """
    raw = _read_file(path)
    _overlay_environment(raw, os.environ if environment is None else environment)
    try:
        return msgspec.convert(raw, Settings, strict=False)
    except msgspec.ValidationError as error:
        raise SettingsError(_explain(error)) from error


def _read_file(path: Path | None) -> dict[str, Any]:
    if path is None:
        path = Path("penchant.toml")
        if not path.exists():
            return {}
    try:
        return tomllib.loads(path.read_text())
    except FileNotFoundError:
        raise SettingsError(f"{path}: no such settings file; name another with --config") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path}: not valid TOML: {error}") from error


def _overlay_environment(raw: dict[str, Any], environment: Mapping[str, str]) -> None:
    for name, value in environment.items():
        section, separator, key = name.removeprefix(ENVIRONMENT_PREFIX).lower().partition("__")
        if not name.startswith(ENVIRONMENT_PREFIX) or not separator:
            continue
        table = raw.setdefault(section, {})
        if not isinstance(table, dict):
            raise SettingsError(f"{section}: must be a table; write [{section}] in the settings file")
        table[key] = _parse(value)


def _parse(value: str) -> Any:
    """Lists and tables are written as JSON; everything else is text, which numbers are read from."""
    if value[:1] in ("[", "{"):
        try:
            return msgspec.json.decode(value)
        except msgspec.DecodeError:
            return value
    return value


def _explain(error: msgspec.ValidationError) -> str:
    text, _, where = str(error).partition(" - at `$.")
    key = where.rstrip("`") or "settings"
    return (
        f"{key}: {text}; mend it in penchant.toml or by {ENVIRONMENT_PREFIX}{key.upper().replace('.', '__')}"
    )
