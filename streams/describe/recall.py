"""What users were last described as, read back from `interest-descriptions` when a partition comes."""

import logging
from collections.abc import Iterable
from concurrent.futures import Future, ThreadPoolExecutor

import msgspec

from streams import kafka, reach
from streams.describe.drift import Told
from streams.describe.stage import told_of
from streams.partitioning import partition_of
from streams.reading import read, whole
from streams.records import InterestDescription
from streams.settings import Settings

Memory = dict[bytes, Told]

_log = logging.getLogger(__name__)
_decoder = msgspec.json.Decoder(InterestDescription)


class Recall:
    """Reads in a thread, so that the worker keeps its place in the group. What comes back is by partition of
    `interests`."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
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
        """What has come since the last call. Raises TopicError."""
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
        found: Memory = {}
        for record in read(settings, stretches):
            key = record.key or b""
            if interests != descriptions and partition_of(key, interests) != number:
                continue
            remember(found, key, record.value)
        _log.info("%s-%d: %d descriptions are known", names.interests, number, len(found))
        return found


def remember(memory: Memory, user: bytes, value: bytes | None) -> None:
    """Take a record of `interest-descriptions`; what cannot be read counts as never described."""
    memory.pop(user, None)
    if value is None:
        return
    try:
        memory[user] = told_of(_decoder.decode(value))
    except (msgspec.DecodeError, ValueError) as error:
        _log.warning("a description is not understood: %s", error)
