"""What users were last described as: on the disk, since it is as many as there are users.

The store is no more than a copy of `interest-descriptions` and is made anew when a partition comes.
"""

from collections.abc import Mapping
from itertools import islice

import msgspec

from state.store import Store
from streams.describe.drift import Told

_CHUNK = 1_000

_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Told)


class Memory:
    """The users of one partition of `interests`. All methods may raise StateError."""

    def __init__(self, store: Store, number: int) -> None:
        self._store = store
        self._prefix = number.to_bytes(4, "big")

    def get(self, user: bytes) -> Told | None:
        value = self._store.get(self._prefix + user)
        return None if value is None else _decoder.decode(value)

    def put(self, user: bytes, told: Told) -> None:
        self._store.write({self._prefix + user: _encoder.encode(told)})

    def drop(self, user: bytes) -> None:
        self._store.write({self._prefix + user: None})

    def fill(self, users: Mapping[bytes, Told | None]) -> None:
        """Of a great many; None drops a user."""
        self._store.load(
            {
                self._prefix + user: None if told is None else _encoder.encode(told)
                for user, told in users.items()
            }
        )

    def filled(self) -> None:
        """Nothing more is to come by `fill`."""
        self._store.settle()

    def clear(self) -> None:
        keys = self._store.scan(self._prefix)
        while chunk := {key: None for key, _ in islice(keys, _CHUNK)}:
            self._store.write(chunk)
