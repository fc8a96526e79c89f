"""Whether the source is still the topic that it was when this process began to read it."""

import time
from collections.abc import Callable

from streams import kafka
from streams.errors import SourceRecreated
from streams.settings import KafkaSettings
from streams.topic_ids import GONE_SECONDS, Identity, check_same, identify
from streams.topics import SilentCluster, UnknownTopic

Identify = Callable[[], dict[str, Identity]]


class SourceCheck:
    """Call it every few seconds: a reader of a topic that was made anew may wait for an offset for ever.

    Raises SourceRecreated where the topic is another one, or gone. A silent broker is no news.
    """

    def __init__(self, identify_source: Identify) -> None:
        self._identify = identify_source
        self._first: dict[str, Identity] | None = None
        self._missing_since: float | None = None

    def __call__(self) -> None:
        try:
            now = self._identify()
        except SilentCluster:
            return
        except UnknownTopic as error:
            since = self._missing_since = self._missing_since or time.monotonic()
            if self._first is not None and time.monotonic() - since > GONE_SECONDS:
                raise SourceRecreated(f"{error}; it was deleted while it was read") from error
            return
        self._missing_since = None
        if self._first is None:
            self._first = now
        check_same(self._first, now)


def kafka_source_check(settings: KafkaSettings, source: str) -> SourceCheck:
    """Asks the cluster; the connection is made with the first call."""
    admin: list[kafka.AdminClient] = []

    def ask() -> dict[str, Identity]:
        if not admin:
            admin.append(kafka.admin_client(settings))
        return identify(admin[0], [source])

    return SourceCheck(ask)
