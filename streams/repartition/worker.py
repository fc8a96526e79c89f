"""The repartition worker: what it opens, and in which order."""

from contextlib import ExitStack
from functools import partial
from pathlib import Path

from streams.encode.instance import Instance
from streams.encode.relay_worker import RelayWorker, check_there
from streams.encode.sink import TransactionalSink
from streams.encode.source import RawSource
from streams.kafka import admin_client
from streams.repartition.loop import Limits, RepartitionLoop
from streams.repartition.stage import STAGE
from streams.repartition.starting import counted_ends
from streams.settings import Settings
from streams.topics import topic_values


class RepartitionWorker(RelayWorker):
    """It reads `interactions`."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings, STAGE)

    def open(self, stack: ExitStack) -> RepartitionLoop:
        settings = self.settings
        limits = check_topics(settings)
        instance = stack.enter_context(Instance(Path(settings.app.data), STAGE))
        group = f"{settings.app.name}-{STAGE}"
        largest = max(limits.copy, limits.letter)
        sink = TransactionalSink(settings, f"{group}-{instance.id}", largest, self.watchdog.beat)
        stack.callback(sink.close)
        self.watchdog.start()
        stack.callback(self.watchdog.stop)
        sink.open()
        begin = partial(counted_ends, settings)
        source = RawSource(settings, group, [settings.topics.interactions], begin)
        stack.callback(source.close)
        source.open()
        return RepartitionLoop(settings.topics, source, sink, limits)


def check_topics(settings: Settings) -> Limits:
    """Largest records that the topics take. Raises TopicError where one is missing."""
    names = settings.topics
    admin = admin_client(settings.kafka)
    check_there(admin, (names.interactions, names.interactions_by_user, names.dead_letters))
    written = (names.interactions_by_user, names.dead_letters)
    return Limits(*(int(topic_values(admin, name)["max.message.bytes"]) for name in written))
