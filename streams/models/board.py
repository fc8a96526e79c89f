"""What all processes of a deployment agree on about its models: a few records of one compacted topic.

Keys are a kind and what it is about; values are JSON. Until a model is promoted for the first time there is
no such topic, and the settings alone say which model serves.
"""

import logging
from dataclasses import dataclass, field, replace

import msgspec

from streams.engine.kafka_engine import EngineSpec, group_of
from streams.errors import EngineError, PromotionError
from streams.settings import Settings
from streams.topic_plans import user_state_changelog

_log = logging.getLogger(__name__)

POINTER = b"pointer"
_ENTRY, _TURNED, _ACK = b"model/", b"turned/", b"worker/"
INTERESTS = "interests"


class Entry(msgspec.Struct, frozen=True):
    """One model of the deployment."""

    version: str
    fingerprint: int
    added_ms: int
    chunks: int = 0
    """In how many records its weights lie; none for the built-in prior."""
    manifest: str = ""
    """The artifact's, as it is in its folder."""
    notes: dict[str, str] = {}
    first: bool = False
    """The one that the deployment began with: its changelog has no model in its name."""

    @property
    def code(self) -> str:
        """The fingerprint as people write it."""
        return f"{self.fingerprint:08x}"


class Pointer(msgspec.Struct, frozen=True):
    """Which model serves. `generation` grows whenever another one takes its place."""

    generation: int
    live: int
    former: int | None = None
    building: int | None = None
    """Whose states are being made beside the one that serves."""


class Ack(msgspec.Struct, frozen=True):
    """What an interests worker says of itself."""

    serving: int
    prepared: int | None
    """The model whose catalogue and states it has at hand, to serve at once."""
    time_ms: int


@dataclass
class Board:
    """The records, as far as they were read."""

    pointer: Pointer | None = None
    entries: dict[int, Entry] = field(default_factory=dict)
    turned: set[tuple[int, int]] = field(default_factory=set)
    """Generations with the partitions that serve under their model."""
    acks: dict[str, Ack] = field(default_factory=dict)

    def take(self, key: bytes, value: bytes | None) -> None:
        """One record, in the order of the log. Kinds that this build does not know are passed over, and so is
        what cannot be read: nobody must be able to stop all workers by one record."""
        try:
            self._take(key, value)
        except (msgspec.DecodeError, ValueError) as error:
            _log.warning("a record %r of the models' topic is passed over: %s", key[:80], error)

    def entry(self, fingerprint: int) -> Entry:
        """The model of a fingerprint that the pointer names. Raises EngineError where it has no entry."""
        if fingerprint not in self.entries:
            raise EngineError(
                f"model {fingerprint:08x} is to serve, and is not among the models: its record is gone from "
                "the models' topic; promote its folder again"
            )
        return self.entries[fingerprint]

    def _take(self, key: bytes, value: bytes | None) -> None:
        kind, _, name = key.partition(b"/")
        if key == POINTER:
            self.pointer = None if value is None else msgspec.json.decode(value, type=Pointer)
        elif kind + b"/" == _TURNED:
            generation, _, partition = name.partition(b"/")
            place = (int(generation), int(partition))
            (self.turned.discard if value is None else self.turned.add)(place)
        elif kind + b"/" == _ENTRY:
            self._put(self.entries, int(name, 16), value, Entry)
        elif kind + b"/" == _ACK:
            self._put(self.acks, name.decode(), value, Ack)

    def copy(self) -> "Board":
        return Board(self.pointer, dict(self.entries), set(self.turned), dict(self.acks))

    def waiting(self, partitions: int) -> list[int]:
        """Partitions that do not serve under the present model yet."""
        pointer = self.pointer
        if pointer is None or pointer.former is None:
            return []
        return [number for number in range(partitions) if (pointer.generation, number) not in self.turned]

    def named(self, name: str) -> Entry:
        """The model with this version, or this fingerprint. Raises PromotionError."""
        found = [entry for entry in self.entries.values() if name in (entry.version, entry.code)]
        if len(found) > 1:
            codes = ", ".join(entry.code for entry in found)
            raise PromotionError(f"{name}: several models have this version; name one by its code: {codes}")
        if not found:
            known = ", ".join(f"{each.version} ({each.code})" for each in self.entries.values()) or "none"
            raise PromotionError(f"{name}: no folder of an artifact, and no model here; known: {known}")
        return found[0]

    @staticmethod
    def _put(into: dict, key: object, value: bytes | None, kind: type) -> None:  # type: ignore[type-arg]
        if value is None:
            into.pop(key, None)
        else:
            into[key] = msgspec.json.decode(value, type=kind)


def entry_key(fingerprint: int) -> bytes:
    return _ENTRY + b"%08x" % fingerprint


def turned_key(generation: int, partition: int) -> bytes:
    return _TURNED + b"%d/%d" % (generation, partition)


def ack_key(instance: str) -> bytes:
    return _ACK + instance.encode()


def models_topic(settings: Settings) -> str:
    """Name of the topic with the records of this module."""
    return f"penchant-{settings.app.name}-models"


def artifacts_topic(settings: Settings) -> str:
    """Name of the topic with the weights of the models."""
    return f"penchant-{settings.app.name}-artifacts"


def changelog_of(settings: Settings, entry: Entry | None) -> str:
    """Name of the changelog of the users' states under a model; none is the one of the settings."""
    name = user_state_changelog(settings)
    return name if entry is None or entry.first else f"{name}-{entry.code}"


def owner_of(settings: Settings, entry: Entry | None) -> str:
    """What the ids of a model's transactions begin with."""
    group = group_of(settings, INTERESTS)
    return group if entry is None or entry.first else f"{group}-{entry.code}"


def spec_of(settings: Settings, entry: Entry | None, base: EngineSpec) -> EngineSpec:
    """The engine that keeps a model's states, as `base` is the one of the first model."""
    if entry is None or entry.first:
        return base
    return replace(
        base,
        changelog=changelog_of(settings, entry),
        folder=base.folder.with_name(f"{base.folder.name}-{entry.code}"),
        owner=owner_of(settings, entry),
    )
