"""What became of media a while ago, kept in memory."""

from collections import OrderedDict
from collections.abc import Iterable, Mapping
from threading import Lock

from encoders.base import Encoded

MOST = 20_000
"""Media that are kept, about 1.5 KB each; those go first that were not asked for longest."""


class Remembered:
    """Outcomes by the key of their medium. Any thread may call it.

    An alignment makes its own generation: what was made under an earlier one is not taken in.
    """

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._encoded: OrderedDict[bytes, Encoded] = OrderedDict()
        self._lock = Lock()
        self.generation = 0

    def recall(self, keys: Iterable[bytes]) -> dict[bytes, Encoded]:
        """Those that are here, by key."""
        with self._lock:
            found = {key: self._encoded[key] for key in keys if key in self._encoded}
            for key in found:
                self._encoded.move_to_end(key)
            return found

    def keep(self, encoded: Mapping[bytes, Encoded], generation: int) -> None:
        """Keeps what was made under this generation, if it still is the present one."""
        with self._lock:
            if generation == self.generation:
                self._encoded.update(encoded)
                while len(self._encoded) > self._most:
                    self._encoded.popitem(last=False)

    def clear(self) -> None:
        """Forgets all, and begins a new generation."""
        with self._lock:
            self._encoded.clear()
            self.generation += 1
