"""The ids that Kafka gives to topics: one that is deleted and made anew has another."""

import base64
import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as FutureTimeout
from dataclasses import dataclass

from state.events import NO_TOPIC
from streams.errors import SourceRecreated
from streams.kafka import AdminClient, admin_client
from streams.settings import KafkaSettings
from streams.topics import SilentCluster, UnknownTopic, described

PATIENCE_SECONDS = 1_800.0
"""How long a cluster that does not answer is asked again."""
GONE_SECONDS = 15.0
"""How long a topic must be unknown to be gone: a broker may not have heard of it yet."""
_BEAT_SECONDS = 1.0
_PAUSE_SECONDS = 0.2


@dataclass(slots=True, frozen=True)
class Identity:
    """What a topic is at a moment."""

    topic: bytes
    """Its id."""
    partitions: int


Identities = Mapping[str, Identity]


def id_text(topic: bytes) -> str:
    """An id as Kafka's tools show it; empty for NO_TOPIC."""
    return "" if topic == NO_TOPIC else base64.urlsafe_b64encode(topic).decode().rstrip("=")


def id_bytes(text: str | None) -> bytes:
    """The 16 bytes of an id; NO_TOPIC for what is none."""
    try:
        found = base64.urlsafe_b64decode(f"{text or ''}==")
    except ValueError:
        return NO_TOPIC
    return found if len(found) == len(NO_TOPIC) else NO_TOPIC


def identify(admin: AdminClient, names: Iterable[str]) -> dict[str, Identity]:
    """The topics' ids and partition counts. Raises TopicError; UnknownTopic where there is none."""
    return {
        name: Identity(id_bytes(str(each.topic_id)), len(each.partitions))
        for name, each in described(admin, names).items()
    }


class TopicWatch:
    """Asks what topics are, in a thread of its own.

    An id never comes back. So where a topic still has its id after records of it were read, all of them
    were read from the topic of this id.
    """

    def __init__(self, settings: KafkaSettings, names: Iterable[str]) -> None:
        self._names = list(names)
        self._admin = admin_client(settings)
        self._thread = ThreadPoolExecutor(1, "topic-watch")

    def ask(self) -> "Future[dict[str, Identity]]":
        """Begin to ask: the answer is of a moment after the call."""
        return self._thread.submit(identify, self._admin, self._names)

    def answer(
        self,
        asked: "Future[dict[str, Identity]]",
        beat: Callable[[], None] = lambda: None,
        patience: float = PATIENCE_SECONDS,
    ) -> Identities:
        """Wait for the answer, however often it must be asked again; `beat` is called meanwhile.

        Raises SourceRecreated where a topic is gone, SilentCluster where the cluster does not answer for
        `patience` seconds, and TopicError.
        """
        since = time.monotonic()
        while True:
            try:
                return asked.result(_BEAT_SECONDS)
            except FutureTimeout:
                beat()
                continue
            except UnknownTopic as error:
                if time.monotonic() > since + GONE_SECONDS:
                    raise SourceRecreated(f"{error}; it was deleted while it was read") from error
            except SilentCluster:
                if time.monotonic() > since + patience:
                    raise
            time.sleep(_PAUSE_SECONDS)
            asked = self.ask()

    def close(self) -> None:
        self._thread.shutdown(wait=False, cancel_futures=True)


def check_same(before: Identities, now: Identities) -> None:
    """Raises SourceRecreated where a topic of `before` is another now."""
    for name, identity in before.items():
        if now[name].topic != identity.topic:
            raise SourceRecreated(
                f"{name}: was deleted and made anew while it was read. Nothing of the new topic is skipped: "
                "the next start of the worker reads it from its start"
            )
