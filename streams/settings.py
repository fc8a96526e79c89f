"""Settings: `penchant.toml`, each key also as the environment variable PENCHANT_SECTION__KEY.

Lists and tables in the environment are JSON. A single librdkafka setting is a variable of
its own, with underscores for dots: PENCHANT_KAFKA__CLIENT__SASL_PASSWORD is `sasl.password`.
"""

import difflib
import os
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_type_hints
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec
from msgspec import Meta

from encoders.language.settings import LanguageSettings
from encoders.settings import EncoderSettings, FetchSettings
from state.events import ACTIONS
from state.settings import ModelSettings, RecommendSettings
from streams.errors import SettingsError
from streams.settings_checks import check_finite, check_recommend

ENVIRONMENT_PREFIX = "PENCHANT_"
_CLIENT_KEY = "client__"
_ENTRY = "[...]"
"""How msgspec writes any entry of a table with free keys."""

Count = Annotated[int, Meta(ge=1)]
Seconds = Annotated[float, Meta(gt=0)]
Milliseconds = Annotated[int, Meta(ge=1)]
Name = Annotated[str, Meta(min_length=1, max_length=200, pattern=r"^[a-zA-Z0-9._-]+$")]
"""What Kafka allows in the name of a topic, short enough to have something put before and behind it."""


class KafkaSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How to reach Kafka. `client` holds further librdkafka settings, TLS and SASL among them."""

    bootstrap_servers: Annotated[str, Meta(min_length=1)] = "127.0.0.1:9092"
    client: dict[str, str | int | float | bool] = {}
    compression: Literal["none", "gzip", "snappy", "lz4", "zstd"] = "none"
    session_timeout_ms: Milliseconds = 6_000
    max_poll_interval_ms: Milliseconds = 60_000
    transaction_timeout_ms: Milliseconds = 10_000
    producer_buffer_kbytes: Count = 65_536
    consumer_buffer_kbytes: Count = 16_384


class TopicSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Names of the topics, and what `penchant topics create` gives them."""

    interactions: Name = "interactions"
    interactions_by_user: Name = "interactions.by-user"
    """Events under their user's id, where `repartition` is on."""
    items: Name = "items"
    interactions_encoded: Name = "interactions.encoded"
    items_encoded: Name = "items.encoded"
    interests: Name = "interests"
    recommendations: Name = "recommendations"
    dead_letters: Name = "dead-letters"
    item_deltas: Name = "item-deltas"
    item_signals: Name = "item-signals"
    user_commands: Name = "user-commands"
    user_receipts: Name = "user-receipts"
    item_vectors: Name = "item-vectors"
    interest_descriptions: Name = "interest-descriptions"
    partitions: Count = 4
    item_deltas_partitions: Count = 1
    """Of `item_deltas`, which has a record a batch for each item that something happened to. The transaction
    of a batch writes to all of them, so that few make it fast; one bears what several workers send."""
    replication: Count = 1
    retention_hours: Annotated[float, Meta(gt=0)] = 168.0
    repartition: bool = False
    """Whether `interactions` is not keyed by user_id, so that its records are written again under it."""

    @property
    def keyed(self) -> str:
        """The topic where all events of a user lie in one partition: what the encode worker reads."""
        return self.interactions_by_user if self.repartition else self.interactions


class AppSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Who this deployment is, and where it keeps its files."""

    name: Name = "penchant"
    data: Annotated[str, Meta(min_length=1)] = "data"
    watchdog_seconds: Seconds = 120.0
    """A worker that makes no step for so long ends its process, so that another takes over."""
    drain_seconds: Seconds = 25.0
    """How long workers may take to end after SIGTERM; then the process ends all the same."""


class EncodeSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The encode worker."""

    batch_records: Count = 256
    interval_ms: Annotated[int, Meta(ge=0)] = 40
    """A batch that is not full begins after a pause of twice the time of the one before, yet at most so long
    after its start: fewer, larger transactions leave brokers and interests workers more of a busy machine."""
    media_budget_seconds: Seconds = 1.0
    """How long an event may wait for its media before they are masked. They are fetched again beside the
    stream, for up to `fetch.timeout_seconds` a try, and amend the event when they come."""
    unknown_item_seconds: Annotated[float, Meta(ge=0)] = 600.0
    """How long an unknown item is remembered, to amend its events when it arrives."""
    waiting_events: Count = 50_000
    """Events that may wait for an item or a medium; beyond, the oldest stay masked."""
    skip_trimmed: bool = False
    """Whether offsets that retention cut before they were read are passed over; else the worker ends."""
    shared_media: bool = False
    """Whether media that events point at are anybody's, so that their vectors may lie in the cache on disk;
    else they are taken for the user's own, as what events carry themselves always is."""
    sentiment: Annotated[str, Meta(min_length=1)] = "default"
    """Who judges how comments sound: `default`, a classifier of `encoders.models` by its name, or `off`."""
    keywords: Annotated[int, Meta(ge=0, le=8)] = 0
    """Most words of a search, comment or shared text that become topics of its event; 0 finds none."""


class InterestsSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The interests worker."""

    batch_rows: Count = 1_024
    interval_ms: Annotated[int, Meta(ge=0)] = 10
    """Least time between the starts of two micro-batches; after a pause, the first one starts at once."""
    queued_packs: Count = 256
    """Packs that may wait in memory before fetching pauses."""
    block_cache_mb: Count = 32
    write_buffer_mb: Count = 16
    """A store fills one while another is written out, and has its block cache; there is one a partition."""
    standbys: Annotated[int, Meta(ge=0)] = 1
    """Copies of each partition's state that other workers keep level, to take over at once."""
    standby_mb_per_second: Count = 64
    skip_trimmed: bool = False
    """Whether packs that are gone unread, or with their topic, are passed over; else the worker ends."""
    expire_days: Annotated[float, Meta(ge=0)] = 0.0
    """Users without an event for so long leave the state, judged by the latest event; 0 keeps them."""
    mark_days: Annotated[float, Meta(gt=0)] = 90.0
    """How long it is remembered that a user was forgotten, or became part of another."""
    item_vectors: bool = False
    """Whether the catalogue goes out on `topics.item_vectors`."""


class DescribeSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The describe worker: when a user is described. `[language]` says who writes, and in which languages."""

    enabled: bool = True
    """Whether there is such a topic, and `penchant run` describes."""
    first_events: Count = 5
    """Events of a user before the first description."""
    drift: Annotated[float, Meta(gt=0, le=2)] = 0.15
    """Cosine distance between the interest's vector and the one last described, from which on a user is
    described again; a new leading topic is a reason, too."""
    interval_seconds: Annotated[float, Meta(ge=0)] = 600.0
    """Least time between two descriptions of a user."""
    per_minute: Annotated[int, Meta(ge=0)] = 600
    """Descriptions that a worker may have written in a minute; 0 is no limit."""
    characters_per_minute: Annotated[int, Meta(ge=0)] = 0
    """Characters of facts and texts that may go to the writer and back in a minute; 0 is no limit."""
    batch: Count = 16
    """Users that are handed to the writer at a time."""
    batch_seconds: Seconds = 300.0
    """A writer that does not come back for so long is left alone, and the template writes."""
    cached: Count = 10_000
    """Descriptions kept for users with the same facts."""
    niceness: Annotated[int, Meta(ge=0, le=19)] = 5
    """By how much `penchant describe` gives way to other processes of its machine: descriptions can wait."""
    language_key: str = "language"
    """Member of an interaction's `context` that names the user's language."""
    time_zone: str = "UTC"
    """Name of the time zone, as in Europe/Berlin, in which times of day are told."""


class TrainSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What `penchant train model` does beside training."""

    track: str = ""
    """`tensorboard:FOLDER` or `wandb:PROJECT`, which is told every epoch; empty tells nobody."""


class MetricsSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where `/metrics`, `/healthz` and `/readyz` are served. Port 0 takes a free one, -1 serves none."""

    host: str = "127.0.0.1"
    port: Annotated[int, Meta(ge=-1, le=65_535)] = 9464


class LogSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the commands write to standard error."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    format: Literal["human", "json"] = "human"


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Everything that can be set."""

    app: AppSettings = AppSettings()
    kafka: KafkaSettings = KafkaSettings()
    topics: TopicSettings = TopicSettings()
    encode: EncodeSettings = EncodeSettings()
    fetch: FetchSettings = FetchSettings()
    encoders: EncoderSettings = EncoderSettings()
    interests: InterestsSettings = InterestsSettings()
    describe: DescribeSettings = DescribeSettings()
    language: LanguageSettings = LanguageSettings()
    model: ModelSettings = ModelSettings()
    recommend: RecommendSettings = RecommendSettings()
    actions: dict[str, str] = {}
    """Foreign action names to the known ones."""
    train: TrainSettings = TrainSettings()
    metrics: MetricsSettings = MetricsSettings()
    log: LogSettings = LogSettings()


def load_settings(path: Path | None = None, environment: Mapping[str, str] | None = None) -> Settings:
    """Read the file (`penchant.toml` here, where none is named and one exists), then the environment.

    Raises SettingsError with the key and the mend.
    """
    raw = _read_file(path)
    _overlay_environment(raw, os.environ if environment is None else environment)
    try:
        settings = msgspec.convert(raw, Settings, strict=False)
    except msgspec.ValidationError as error:
        raise SettingsError(_explain(error)) from error
    check_finite(settings)
    _check_together(settings)
    check_recommend(settings.recommend)
    return settings


def _read_file(path: Path | None) -> dict[str, Any]:
    if path is None:
        path = Path("penchant.toml")
        if not path.exists():
            return {}
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise SettingsError(f"{path}: no such settings file; name another with --config") from None
    except OSError as error:
        raise SettingsError(f"{path}: cannot be read: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path}: not valid TOML: {error}") from error


def _overlay_environment(raw: dict[str, Any], environment: Mapping[str, str]) -> None:
    for name, value in environment.items():
        section, separator, key = name.removeprefix(ENVIRONMENT_PREFIX).lower().partition("__")
        if not name.startswith(ENVIRONMENT_PREFIX) or not separator:
            continue
        table = _table(raw, section)
        if section == "kafka" and key.startswith(_CLIENT_KEY):
            # One variable for each librdkafka setting, so that a password can come from a secret alone.
            _table(table, "client")[key.removeprefix(_CLIENT_KEY).replace("_", ".")] = value
        else:
            *path, last = key.split("__")
            for part in path:
                table = _table(table, part)
            table[last] = _parse(value)


def _table(raw: dict[str, Any], key: str) -> dict[str, Any]:
    """The table under a key, made where there is none."""
    table = raw.setdefault(key, {})
    if not isinstance(table, dict):
        raise SettingsError(f"{key}: must be a table")
    return table


def _parse(value: str) -> Any:
    """Lists and tables are written as JSON; everything else is text, which numbers are read from."""
    if value[:1] in ("[", "{"):
        try:
            return msgspec.json.decode(value)
        except msgspec.DecodeError:
            return value
    return value


def _explain(error: msgspec.ValidationError) -> str:
    text, _, where = str(error).partition(" - at `$")
    key = where.strip(".`")
    if " - at `key` in `$" in str(error):
        return _explain_name(str(error))
    unknown = re.search("unknown field `(.*)`", text)
    if unknown is not None:
        return _explain_unknown(key, unknown[1])
    if text.startswith("Invalid enum value"):
        text = f"{text}: not one of {', '.join(_choices(key))}"
    if text.startswith(("Expected `array`", "Expected `object`")):
        text += " (in the environment, write it as JSON)"
    key = key.replace(_ENTRY, ".<name>")
    variable = f"{ENVIRONMENT_PREFIX}{key.upper().replace('.', '__')}"
    return f"{key or 'settings'}: {text}; mend it in the settings file or by {variable}"


def _explain_unknown(section: str, key: str) -> str:
    struct = _struct(section)
    near = difflib.get_close_matches(key, struct.__struct_fields__, n=1)
    mend = f"did you mean {near[0]}?" if near else f"known are: {', '.join(struct.__struct_fields__)}"
    return f"{section.replace(_ENTRY, '.<name>')}.{key}: no such setting; {mend}".lstrip(".")


def _explain_name(text: str) -> str:
    """Of an entry of a table whose names are fixed."""
    problem, _, where = text.partition(" - at `key` in `$")
    key, name = where.strip(".`"), problem.rpartition("value ")[2].strip("'")
    section, _, field = key.rpartition(".")
    names, _ = get_args(get_type_hints(_struct(section))[field])
    known = get_args(names) or [each.value for each in names]
    return f"{key}: {name} is not one of {', '.join(known)}"


def _choices(key: str) -> tuple[str, ...]:
    section, _, name = key.rpartition(".")
    return get_args(get_type_hints(_struct(section))[name])


def _struct(section: str) -> Any:
    struct: Any = Settings
    for part in filter(None, section.replace(_ENTRY, "[]").split(".")):
        hint = get_type_hints(struct)[part.removesuffix("[]")]
        struct = get_args(hint)[1] if part.endswith("[]") else hint
    return struct


def _check_zone(name: str) -> None:
    if name != "UTC":
        try:
            ZoneInfo(name)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            raise SettingsError(
                f"describe.time_zone: {name} is no time zone that this machine knows; name one such as "
                "Europe/Berlin, or install tzdata"
            ) from None


def _check_together(settings: Settings) -> None:
    kafka = settings.kafka
    if kafka.session_timeout_ms > kafka.max_poll_interval_ms:
        raise SettingsError(
            f"kafka.session_timeout_ms: {kafka.session_timeout_ms} is more than kafka.max_poll_interval_ms "
            f"({kafka.max_poll_interval_ms}); make it smaller"
        )
    _check_zone(settings.describe.time_zone)
    fields = [(key, getattr(settings.topics, key)) for key in settings.topics.__struct_fields__]
    names = [(key, name) for key, name in fields if isinstance(name, str)]
    for number, (key, name) in enumerate(names):
        for other, taken in names[:number]:
            if name == taken:
                raise SettingsError(
                    f"topics.{key}: {name} is the name of topics.{other}, too; choose another"
                )
    for foreign, action in settings.actions.items():
        if action not in ACTIONS:
            raise SettingsError(f"actions.{foreign}: {action} is no action; known are: {', '.join(ACTIONS)}")
