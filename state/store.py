"""Where values lie by key on this machine. Always a copy: the changelog can rebuild it."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Protocol

LASTING_SECONDS = 300.0
"""How long what was written may lie where a kill takes it: owners `settle` so often."""


class Store(Protocol):
    """Byte values by byte keys, ordered by key. One owner; reads and writes may come from several threads."""

    def get(self, key: bytes) -> bytes | None: ...

    def get_many(self, keys: Sequence[bytes]) -> list[bytes | None]:
        """Values in the order of the keys."""
        ...

    def write(self, changes: Mapping[bytes, bytes | None]) -> None:
        """All changes or none of them. None deletes.

        A process that is killed may lose the latest writes: what is left is what some write had come to.
        """
        ...

    def load(self, changes: Mapping[bytes, bytes | None]) -> None:
        """As `write`, where a great many come in a row, until `settle`."""
        ...

    def settle(self, seconds: float = 0.0) -> None:
        """End loading; and where there is what a kill would take for `seconds` already, begin to save it.

        Raises StoreError where there is no room for it.
        """
        ...

    def scan(self, prefix: bytes) -> Iterator[tuple[bytes, bytes]]:
        """Keys that begin with the prefix, with their values, in the order of the keys.

        What is written during the scan may be seen or not.
        """
        ...

    def size(self) -> int:
        """Bytes on disk, or in memory for a store that has no files."""
        ...

    def clear(self) -> None:
        """Forget everything."""
        ...

    def close(self) -> None:
        """Let go of files and locks. A closed store is not used again; closing twice is allowed."""
        ...


class MemoryStore:
    """A store in a dictionary, for the brokerless driver and tests."""

    def __init__(self) -> None:
        self._values: dict[bytes, bytes] = {}

    def get(self, key: bytes) -> bytes | None:
        return self._values.get(key)

    def get_many(self, keys: Sequence[bytes]) -> list[bytes | None]:
        return [self._values.get(key) for key in keys]

    def write(self, changes: Mapping[bytes, bytes | None]) -> None:
        for key, value in changes.items():
            if value is None:
                self._values.pop(key, None)
            else:
                self._values[key] = value

    def load(self, changes: Mapping[bytes, bytes | None]) -> None:
        self.write(changes)

    def settle(self, seconds: float = 0.0) -> None:
        """Nothing here outlasts the process."""

    def scan(self, prefix: bytes) -> Iterator[tuple[bytes, bytes]]:
        for key in sorted(key for key in self._values if key.startswith(prefix)):
            value = self._values.get(key)
            if value is not None:
                yield key, value

    def size(self) -> int:
        return sum(len(key) + len(value) for key, value in self._values.items())

    def clear(self) -> None:
        self._values.clear()

    def close(self) -> None:
        """Nothing to let go of."""
