"""Stored bytes of older versions, brought to the version that this build writes.

Every kind of record begins with its version. A build reads what itself and any build before it wrote, and
writes its own version alone, so that a record is rewritten with its next change and never by a migration.
To change a layout: keep the old one beside its step, a function from values of version n to values of
version n + 1, add it to `steps`, and raise `current`. The tests hold bytes of every version.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

from msgspec import msgpack

from state.errors import UNREADABLE, CodecError


class Versioned(Protocol):
    """A record that says its version, and has had one form so far."""

    @property
    def version(self) -> int: ...


RecordT = TypeVar("RecordT", bound=Versioned)
Step = Callable[[Sequence[bytes]], Sequence[bytes]]
"""Values of one version to the same values of the next, in the same order."""


@dataclass(frozen=True, slots=True)
class Versions:
    """One kind of record: the version that is written, and steps from older ones, by the version they read.

    `version_of` tells a value's version, and raises CodecError for bytes of another kind.
    """

    kind: str
    current: int
    version_of: Callable[[bytes], int]
    steps: Mapping[int, Step] = field(default_factory=dict)

    def upgrade(self, values: Sequence[bytes]) -> list[bytes]:
        """The values in the present version, in their order; those that have it already are untouched.

        Raises CodecError for a version that is newer, or older than the oldest step.
        """
        upgraded = list(values)
        waiting: dict[int, list[int]] = {}
        for index, value in enumerate(upgraded):
            version = self.version_of(value)
            if version != self.current:
                waiting.setdefault(version, []).append(index)
        while waiting:
            version = min(waiting)
            indexes = waiting.pop(version)
            values = self._step(version)([upgraded[index] for index in indexes])
            for index, value in zip(indexes, values, strict=True):
                upgraded[index] = value
            if version + 1 != self.current:
                waiting[version + 1] = waiting.get(version + 1, []) + indexes
        return upgraded

    def _step(self, version: int) -> Step:
        if version > self.current:
            raise CodecError(
                f"{self.kind} of version {version}, yet this build reads up to version {self.current}: "
                "a newer build wrote it; run that build, or a newer one, on every worker"
            )
        step = self.steps.get(version)
        if step is None:
            oldest = min([self.current, *self.steps])
            raise CodecError(
                f"{self.kind} of version {version}, yet this build reads versions {oldest} to "
                f"{self.current}: let a build between the two rewrite it, or replay the events afresh"
            )
        return step


def decoded(decoder: msgpack.Decoder[RecordT], value: bytes, kind: str, version: int) -> RecordT:
    """A record of the only version that there is. Raises CodecError for bytes of another version or form."""
    try:
        record = decoder.decode(value)
    except UNREADABLE as error:
        raise CodecError(f"not {kind}: {error}") from error
    if record.version != version:
        raise CodecError(f"{kind} of unknown version {record.version}")
    return record
