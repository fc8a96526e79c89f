"""Waits until items that were just sent have come out of the encode worker."""

import time
from collections.abc import Callable, Mapping

import msgspec

from encoders.base import MODALITIES
from state.items import EncodedItem
from streams import kafka, reach
from streams.errors import TopicError
from streams.settings import Settings

POLL_SECONDS = 0.2


class EncodedItems:
    """Make it before the items are sent: it reads `items.encoded` from its present end. Raises TopicError."""

    def __init__(self, settings: Settings) -> None:
        self._topic = settings.topics.items_encoded
        self._decoder = msgspec.msgpack.Decoder(EncodedItem)
        self._consumer = kafka.consumer(settings.kafka, f"penchant-{settings.app.name}-wait")
        counts = reach.partitions(self._consumer, settings, [self._topic])
        self._consumer.assign(reach.ends(self._consumer, counts))
        self.masked: dict[tuple[str, str], list[str]] = {}
        """Items that lack something, by modality and reason."""

    def wait(
        self, places: Mapping[bytes, tuple[int, int]], stall_seconds: float, tell: Callable[[int], None]
    ) -> None:
        """Until each item appeared, as it was sent to (partition, offset) or later. Tells `masked`.

        Raises TopicError when no item appears for `stall_seconds`.
        """
        missing = {key.decode(): place for key, place in places.items()}
        deadline = time.monotonic() + stall_seconds
        while missing:
            before = len(missing)
            for message in self._consumer.consume(500, POLL_SECONDS):
                self._strike(message, missing)
            if len(missing) < before:
                tell(len(places) - len(missing))
                deadline = time.monotonic() + stall_seconds
            elif time.monotonic() > deadline:
                some = ", ".join(list(missing)[:3])
                raise TopicError(
                    f"{len(missing)} of {len(places)} items did not appear in {self._topic} "
                    f"({some}, ...); is an encode worker running? `penchant doctor` checks the rest"
                )

    def close(self) -> None:
        self._consumer.close()

    def _strike(self, message: kafka.Message, missing: dict[str, tuple[int, int]]) -> None:
        error = message.error()
        if error is not None:
            raise TopicError(f"{self._topic}: {error.str()}")
        value = message.value()
        if value is None:
            return
        encoded = self._decoder.decode(value)
        place = missing.get(encoded.item_id)
        if place is not None and encoded.partition == place[0] and encoded.offset >= place[1]:
            del missing[encoded.item_id]
            for code, reason in encoded.masked.items():
                self.masked.setdefault((MODALITIES[code].value, reason), []).append(encoded.item_id)
