"""Where the reading of the input begins: the group's offsets, the packs, and what the topics are now."""

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence

from state.events import NO_TOPIC
from streams.encode.placing import NOTHING, Committed, Log, RawEnd, Start, start_of
from streams.kafka import Consumer, KafkaException, TopicPartition, consumer, watermarks
from streams.metrics import LOST_OFFSETS, RECREATED
from streams.settings import Settings
from streams.topic_ids import Identities, TopicWatch, check_same, id_bytes

Place = tuple[str, int]
"""Topic and partition."""
Covered = Callable[[Sequence[int]], Mapping[int, RawEnd]]
"""How far packs cover these partitions of the first topic: asked where the group's offsets do not tell."""

_ASK_SECONDS = 5.0
_CALL_SECONDS = 15.0

_log = logging.getLogger(__name__)


class Starts:
    """Finds starts for the partitions of a consumer, and knows what its topics were then."""

    def __init__(self, settings: Settings, topics: Sequence[str], covered: Covered) -> None:
        self.identities: Identities = {}
        self.watch = TopicWatch(settings.kafka, topics)
        self._first = topics[0]
        self._kafka = settings.kafka
        self._group = f"{settings.app.name}-starts"
        self._covered = covered
        self._skip_trimmed = settings.encode.skip_trimmed

    def close(self) -> None:
        self.watch.close()

    def topic_id(self, name: str) -> bytes:
        """NO_TOPIC before anything was found."""
        identity = self.identities.get(name)
        return NO_TOPIC if identity is None else identity.topic

    def find(self, found: Sequence[TopicPartition], held: Iterable[Place]) -> dict[Place, Start]:
        """Where to go on, by partition, given what the group has committed.

        Topics of partitions that are `held` must be the same as before. Raises PenchantError, SilentCluster
        among them, and KafkaException.
        """
        for each in found:
            if each.error is not None:
                raise KafkaException(each.error)
        self._identify(held)
        committed = {
            (each.topic, each.partition): Committed(max(-1, each.offset), id_bytes(each.metadata))
            for each in found
        }
        asked = [
            number
            for (topic, number), each in committed.items()
            if topic == self._first and not each.tells(self.topic_id(topic))
        ]
        covered = self._covered(asked) if asked else {}
        starts = {}
        for (topic, number), log in self._logs(committed).items():
            before = committed[topic, number]
            end = covered.get(number, NOTHING) if topic == self._first else NOTHING
            starts[topic, number] = start_of(before, end, log, self._skip_trimmed)
        return starts

    def _identify(self, held: Iterable[Place]) -> None:
        now = self.watch.answer(self.watch.ask(), patience=_ASK_SECONDS)
        topics = {topic for topic, _ in held}
        check_same({name: each for name, each in self.identities.items() if name in topics}, now)
        self.identities = now

    def _logs(self, places: Iterable[Place]) -> dict[Place, Log]:
        # Not by the client whose callback this may be called from: where it asks for metadata there, its next
        # callback ends the process (`CallState_get: Assertion cs != NULL`).
        client = consumer(self._kafka, self._group)
        try:
            return {(topic, number): self._log(client, topic, number) for topic, number in places}
        finally:
            client.close()

    def _log(self, client: Consumer, topic: str, number: int) -> Log:
        low, high = watermarks(client, topic, number, _CALL_SECONDS)
        return Log(f"{topic}-{number}", self.topic_id(topic), low, high)


def tell_of(placed: Place, start: Start) -> None:
    """What must not go unsaid of a start."""
    topic, number = placed
    if start.recreated:
        RECREATED.labels(topic).inc()
        _log.warning(
            "%s-%d: the topic was deleted and made anew: it is read from its start; what was not read of "
            "the one before, up to which offset %d was, is gone",
            topic,
            number,
            start.follows[1] if start.follows is not None else -1,
        )
    if start.lost:
        LOST_OFFSETS.labels(topic).inc(start.lost)
        _log.error(
            "%s-%d: %d offsets from %d on were cut before they were read, and are passed over, as "
            "encode.skip_trimmed asks: unset it now",
            topic,
            number,
            start.lost,
            start.position,
        )
