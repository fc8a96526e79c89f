"""Versions that go on upwards: no user has a lower one under the new model than under the one that serves.

Both count the same changes, so that they are the same where both have counted from the same start. Where they
are not (a model that was promoted before may have been raised itself), the new state is raised once, at a
place where both have the same rows; from there on both grow alike.
"""

from collections.abc import Callable, Iterator

from state.artifact import Artifact
from state.codec import version_of
from state.merging import raised
from state.store import Store
from streams.engine.place import PLACE_KEY, Place
from streams.interests.processor import KIND_FUSION
from streams.latest import latest
from streams.partitioning import partition_of
from streams.reading import read, whole
from streams.settings import Settings

BATCH = 500


def strays(store: Store, number: int, partitions: int) -> tuple[int, int]:
    """How many users of the store murmur2 puts into another partition, and how many there are."""
    away = count = 0
    for key, _ in store.scan(KIND_FUSION):
        count += 1
        away += partition_of(key[1:], partitions) != number
    return away, count


class Versions:
    """The versions of a partition's users under the serving model, as of one place of its changelog."""

    def __init__(self, place: int, ahead: dict[bytes, int], strays: int) -> None:
        self.place = place
        """Source offset."""
        self.strays = strays
        """How many of the users lie where murmur2 does not put them."""
        self._ahead = ahead

    def raises(self, store: Store, artifact: Artifact) -> Iterator[dict[bytes, bytes | None]]:
        """What makes the store's versions as high, in batches; the store must be at `place`."""
        keys = list(self._ahead)
        for first in range(0, len(keys), BATCH):
            part = keys[first : first + BATCH]
            changes: dict[bytes, bytes | None] = {}
            for key, state in zip(part, store.get_many(part), strict=True):
                if state is None or version_of(state) < self._ahead[key]:
                    changes[key] = raised(artifact, state, self._ahead[key])
            if changes:
                yield changes


def serving_versions(
    settings: Settings, changelog: str, number: int, store: Store, tell: Callable[[], None]
) -> Versions:
    """Read the serving model's changelog partition as it is now, and keep what is ahead of the store, which
    may be behind. `tell` is called now and then. Raises TopicError.
    """
    stretches = whole(settings, changelog, settled=False)
    (stretch,) = (s for s in stretches if s.partition == number)
    away: set[bytes] = set()
    ahead: dict[bytes, int] = {}
    place, batch = 0, dict[bytes, bytes | None]()
    for record in read(settings, [stretch]):
        key = record.key or b""
        if key == PLACE_KEY and record.value is not None:
            place = Place.decode(record.value).source
        elif key.startswith(KIND_FUSION):
            batch[key] = record.value
            if record.value is None:
                away.discard(key)
            elif partition_of(key[1:], len(stretches)) != number:
                away.add(key)
        if len(batch) >= BATCH:
            _compare(batch, store, ahead)
            batch = {}
            tell()
    _compare(batch, store, ahead)
    return Versions(place, ahead, len(away))


def last_place(settings: Settings, changelog: str, number: int) -> int | None:
    """Source offset that the owner of a partition has reached; none where it never wrote. Raises TopicError.

    The place ends each commit, so it is looked for from the end.
    """
    stretches = [each for each in whole(settings, changelog, settled=False) if each.partition == number]
    found = latest(settings, stretches, {changelog: {PLACE_KEY}}).get((changelog, PLACE_KEY))
    return None if found is None or found.value is None else Place.decode(found.value).source


def _compare(batch: dict[bytes, bytes | None], store: Store, ahead: dict[bytes, int]) -> None:
    keys = list(batch)
    for key, mine in zip(keys, store.get_many(keys), strict=True):
        state = batch[key]
        if state is None:
            ahead.pop(key, None)
        elif mine is None or version_of(mine) < version_of(state):
            ahead[key] = version_of(state)
        else:
            ahead.pop(key, None)
