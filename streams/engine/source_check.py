"""Whether source and changelog are still the topics that they were when this process began with them."""

import time
from collections.abc import Callable

from streams import kafka
from streams.errors import ChangelogCut, SourceRecreated
from streams.settings import KafkaSettings
from streams.topic_ids import GONE_SECONDS, Identity, check_same, identify
from streams.topics import SilentCluster, UnknownTopic

Identify = Callable[[], dict[str, Identity]]


class SourceCheck:
    """Call it every few seconds: a reader of a topic that was made anew may wait for an offset for ever.

    Raises SourceRecreated where the source is another one, or gone, and ChangelogCut where the changelog is.
    A silent broker is no news.
    """

    def __init__(self, identify_topics: Identify, changelog: str) -> None:
        self._identify = identify_topics
        self._changelog = changelog
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
                raise SourceRecreated(f"{error}; it was deleted while workers used it") from error
            return
        self._missing_since = None
        if self._first is None:
            self._first = now
        if now[self._changelog].topic != self._first[self._changelog].topic:
            raise changelog_recreated(self._changelog)
        check_same(self._first, now)


def changelog_recreated(changelog: str) -> ChangelogCut:
    return ChangelogCut(
        f"{changelog}: the changelog was deleted and made anew while states were written to it: it has lost "
        "them. The next start counts again, from nothing, what the source still holds"
    )


def kafka_source_check(settings: KafkaSettings, source: str, changelog: str) -> SourceCheck:
    """Asks the cluster; the connection is made with the first call."""
    admin: list[kafka.AdminClient] = []

    def ask() -> dict[str, Identity]:
        if not admin:
            admin.append(kafka.admin_client(settings))
        return identify(admin[0], [source, changelog])

    return SourceCheck(ask, changelog)
