"""What users were last described as, read back from `interest-descriptions` when a partition comes."""

import logging
from collections.abc import Iterable
from concurrent.futures import Future, ThreadPoolExecutor

import msgspec

from state.store import Store
from streams import kafka, reach
from streams.describe.drift import Told
from streams.describe.memory import Memory
from streams.describe.stage import told_of
from streams.partitioning import partition_of
from streams.reading import read, whole
from streams.records import InterestDescription
from streams.settings import Settings

_AT_ONCE = 1_000

_log = logging.getLogger(__name__)
_decoder = msgspec.json.Decoder(InterestDescription)


class Recall:
    """Reads in a thread, so that the worker keeps its place in the group. What comes back is by partition of
    `interests`."""

    def __init__(self, settings: Settings, store: Store) -> None:
        self._settings = settings
        self._store = store
        self._pool = ThreadPoolExecutor(1, "recall")
        self._asked: dict[int, Future[Memory]] = {}

    def close(self) -> None:
        self._pool.shutdown(wait=False, cancel_futures=True)

    def ask(self, numbers: Iterable[int]) -> None:
        """Begin to read what is known of the users of these partitions."""
        for number in numbers:
            self.drop([number])
            self._asked[number] = self._pool.submit(self._load, number)

    def drop(self, numbers: Iterable[int]) -> None:
        """These are not wanted any more."""
        for number in numbers:
            asked = self._asked.pop(number, None)
            if asked is not None:
                asked.cancel()

    def take(self) -> dict[int, Memory]:
        """What has come since the last call. Raises TopicError and StateError."""
        done = [number for number, asked in self._asked.items() if asked.done()]
        return {number: self._asked.pop(number).result() for number in done}

    def _load(self, number: int) -> Memory:
        settings, names = self._settings, self._settings.topics
        client = kafka.consumer(settings.kafka, f"{settings.app.name}-recall")
        try:
            counts = reach.partitions(client, settings, [names.interests, names.interest_descriptions])
        finally:
            client.close()
        interests, descriptions = counts[names.interests], counts[names.interest_descriptions]
        stretches = whole(settings, names.interest_descriptions, settled=False)
        if interests == descriptions:
            stretches = [each for each in stretches if each.partition == number]
        memory = Memory(self._store, number)
        memory.clear()
        fresh: dict[bytes, Told | None] = {}
        for record in read(settings, stretches):
            key = record.key or b""
            if interests != descriptions and partition_of(key, interests) != number:
                continue
            fresh[key] = understood(record.value)
            if len(fresh) >= _AT_ONCE:
                memory.fill(fresh)
                fresh = {}
        memory.fill(fresh)
        memory.filled()
        _log.info("%s-%d: it is known what its users were described as", names.interests, number)
        return memory


def understood(value: bytes | None) -> Told | None:
    """What a record of `interest-descriptions` says; what cannot be read counts as never described."""
    if value is None:
        return None
    try:
        return told_of(_decoder.decode(value))
    except (msgspec.DecodeError, ValueError) as error:
        _log.warning("a description is not understood: %s", error)
        return None
