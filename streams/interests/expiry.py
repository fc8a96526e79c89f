"""Users who do not come any more: a sweep through each store finds them, a few at a time.

Time is what events say, as everywhere in the state: a user has gone when the latest event lies so far behind
the latest that the partition has seen. A worker that is behind, or replays the past, so drops nobody whose
events still wait.
"""

from collections.abc import Iterable, Iterator
from itertools import islice

from state.artifact import Artifact
from state.codec import decode
from state.events import Row
from state.layout import NEVER
from state.store import Store

STEP_USERS = 64
STEP_MS = 1_000
PAUSE_MS = 600_000
"""Between the end of a sweep and the next one."""
_DAY_MS = 86_400_000


class _Sweep:
    def __init__(self, store: Store) -> None:
        self.store = store
        self.latest = NEVER
        self.next_ms = 0
        self.users: Iterator[tuple[bytes, bytes]] = iter(())


class Expiry:
    """What is left of each sweep, by partition. `prefix` is what the keys of fusion records begin with."""

    def __init__(self, days: float, prefix: bytes, artifact: Artifact) -> None:
        self.active = days > 0
        self._span_ms = round(days * _DAY_MS)
        self._prefix = prefix
        self._artifact = artifact
        self._sweeps: dict[int, _Sweep] = {}

    def opened(self, partition: int, store: Store) -> None:
        if self.active:
            self._sweeps[partition] = _Sweep(store)

    def closed(self, partition: int) -> None:
        self._sweeps.pop(partition, None)

    def see(self, partition: int, rows: Iterable[Row]) -> None:
        """Events of the partition have come."""
        sweep = self._sweeps[partition]
        sweep.latest = max([sweep.latest, *(row.time for row in rows)])

    def gone(self, partition: int, value: bytes) -> bool:
        """Whether the user with this stored record has not come for long, as of now. Raises StateError."""
        time = int(decode([value], self._artifact.fingerprint)["ring"]["time"].max())
        return time < self._sweeps[partition].latest - self._span_ms

    def due(self, partition: int, clock_ms: int) -> list[bytes]:
        """One step of the sweep, when it is time: keys of users who may have gone. Raises StateError.

        A scan reads ahead, so they may have come back since.
        """
        sweep = self._sweeps.get(partition)
        if sweep is None or clock_ms < sweep.next_ms:
            return []
        users = list(islice(sweep.users, STEP_USERS))
        if not users:
            first = sweep.next_ms == 0
            sweep.users = sweep.store.scan(self._prefix)
            sweep.next_ms = clock_ms + (STEP_MS if first else PAUSE_MS)
            return []
        sweep.next_ms = clock_ms + STEP_MS
        records = decode([value for _, value in users], self._artifact.fingerprint)
        times = records["ring"]["time"].max(axis=1).tolist()
        sweep.latest = max([sweep.latest, *times])
        if sweep.latest == NEVER:
            return []
        return [
            key for (key, _), time in zip(users, times, strict=True) if time < sweep.latest - self._span_ms
        ]
