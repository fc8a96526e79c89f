"""The whole way of an event, on one screen: the stages that the workers run, on memory in place of Kafka.

    interactions, items ─▶ EncodeStage ─▶ packs, encoded items ─▶ Engine(InterestsProcessor) ─▶ outputs
                                             catalogue ◀─ Engine(SignalsProcessor) ◀─ item deltas ─┘

Commands about users take the same way, from `user-commands` on; `IdentityProcessor` obeys them.

Live traffic, replay and tests go this way. In operation the encode worker (`streams.encode.worker`) puts a
Kafka transaction around the first step, and the engine (`streams.engine`) one around the second.
"""

from collections.abc import Sequence

import msgspec

from state.artifact import load_artifact
from state.catalogue import Catalogue
from state.fusion import Fusion
from state.items import EncodedItem
from state.trending import decode_signal
from streams.encode.item_view import ItemView
from streams.encode.media import MediaEncoder
from streams.encode.packs import Border
from streams.encode.stage import EncodeStage, Outcome
from streams.engine.processor import Output
from streams.interests.identity import IdentityProcessor
from streams.interests.processor import InterestsProcessor
from streams.interests.signals import SignalsProcessor, half_life_ms, learned, memory_of
from streams.raw import RawRecord
from streams.settings import Settings
from streams.testing import Driver


class Pipeline:
    """Raw records in, interests and slates out. Raw offsets must rise by one in each partition, from 0."""

    def __init__(self, settings: Settings, media: MediaEncoder) -> None:
        fusion = Fusion(load_artifact(settings.model.artifact))
        view = ItemView()
        view.caught_up.set()
        self.catalogue = Catalogue(fusion, fusion.artifact.space)
        self._encode = EncodeStage(settings, media, view)
        interests = self.ranking = InterestsProcessor(fusion, self.catalogue, settings)
        processor = IdentityProcessor(interests, fusion.artifact, settings)
        loop = settings.topics.interactions_encoded
        self.interests = Driver(processor, settings.topics.partitions, loop=loop)
        self._borders = dict.fromkeys(range(settings.topics.partitions), Border(0))
        self.signals = Driver(SignalsProcessor(settings))
        self._settings = settings

    def send(self, records: Sequence[RawRecord]) -> Outcome:
        """Take a batch of records of the input topics the whole way; `read` what came of it."""
        encoded = self._encode.process(records, self._borders)
        self._encode.settle(encoded)
        self.catalogue.apply((key.decode(), _item(value)) for key, value in encoded.items)
        for partition, pack in encoded.packs:
            self.interests.push(pack, partition)
        self._tell_demand()
        for record in records:
            if record.topic == self._settings.topics.interactions:
                self._borders[record.partition] = Border(record.offset + 1)
        return encoded

    def read(self, topic: str) -> list[Output]:
        """Outputs of a topic that were not read before."""
        return self.interests.read(topic)

    def trim(self) -> None:
        """Let go of what was read already."""
        self.interests.trim()
        self.signals.trim()

    def _tell_demand(self) -> None:
        """What happened to items becomes what is known of the demand for them."""
        topics, memory = self._settings.topics, memory_of(self._settings)
        deltas = self.interests.read(topics.item_deltas)
        if not deltas:
            return
        self.signals.push_many([output.value or b"" for output in deltas])
        half_life = half_life_ms(self._settings)
        self.catalogue.learn(
            (output.key.decode(), *learned(decode_signal(output.value or b""), half_life, memory))
            for output in self.signals.read(topics.item_signals)
        )


def _item(value: bytes | None) -> EncodedItem | None:
    return None if value is None else msgspec.msgpack.decode(value, type=EncodedItem)
