"""What failures are played on: the engine alone, or the two workers; and how each is judged."""

import signal
from abc import ABC, abstractmethod
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol, TypeVar

import msgspec
from msgspec.structs import replace

from state.rocks import RocksStore
from streams.engine.place import BOOKMARK_KEY, Bookmark
from streams.kafka import Message
from streams.settings import Settings
from tests.counting import count_of
from tests.encoded_reference import (
    causes_of,
    changelog_states,
    event_rows,
    events_in,
    interests_by_user,
    packs_by_partition,
    raw_events,
    reference_states,
)
from tests.engine_feed import EngineProcess, Feed, changelog, states
from tests.engine_worker import NAME
from tests.integration.conftest import read_all
from tests.output_watch import Sight, counting_sight
from tests.soak.interactions import Interactions
from tests.soak.outcomes import Outcome
from tests.soak.product import ProductProcess

KeyT = TypeVar("KeyT", str, bytes)

PACKS_PER_SECOND = 150.0
EVENTS_PER_SECOND = 100.0
LONG_MS = 180_000
"""The engine's feed waits so long for a broker that is away."""


class Process(Protocol):
    """A worker in a process of its own."""

    def wait_ready(self, seconds: float = ...) -> object: ...

    def wait_killed(self, seconds: float = ...) -> None: ...

    def wait_stopped(self, seconds: float = ...) -> None: ...

    def wait_ended(self, seconds: float = ...) -> int: ...

    def signal(self, number: signal.Signals) -> None: ...

    def alive(self) -> bool: ...

    def stop(self, seconds: float = ...) -> None: ...

    def kill(self) -> None: ...

    def said(self) -> str: ...


class Stage(ABC):
    """Fresh topics, a feed for them, and what must have come of it in the end."""

    name: str
    kinds: tuple[str, ...]
    """Kinds of worker, and for each the steps of its commit."""
    steps: Mapping[str, range]

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    @abstractmethod
    def launch(
        self, kind: str, settings: Settings, fault: str = "", wrapped: Sequence[str] = ()
    ) -> Process: ...

    @abstractmethod
    def sending(self) -> AbstractContextManager[None]:
        """An even load, in the background."""

    @abstractmethod
    def spare_aborts(self) -> None:
        """Let the load have no transactions that are aborted on purpose.

        A broker without replicas that stops just then forgets the abort, and the client's next commit makes
        the records of both visible: of what nobody sends again, no reference knows.
        """

    @abstractmethod
    def events(self) -> int:
        """Sent so far."""

    @property
    @abstractmethod
    def outputs(self) -> list[str]:
        """Topics with versions."""

    @abstractmethod
    def look(self, message: Message) -> Sight: ...

    @abstractmethod
    def disk(self, settings: Settings) -> Path:
        """Where the last kind of worker keeps its stores."""

    @abstractmethod
    def stores(self, settings: Settings) -> Iterable[Path]:
        """Folders of the local stores, each named after its partition."""

    @abstractmethod
    def judge(self) -> Outcome:
        """The topics compared with the reference."""

    def differing_stores(self, disks: Iterable[Settings]) -> int:
        """Values in the stores that are not those of the changelog. Nobody may have them open.

        Several workers may have held a partition: the store of the last one counts.
        """
        last: dict[int, tuple[int, dict[bytes, bytes]]] = {}
        for folder in (each for disk in disks for each in self.stores(disk)):
            number, (reached, values) = int(folder.name), read_store(folder)
            if number not in last or reached > last[number][0]:
                last[number] = (reached, values)
        expected = changelog(self.settings)
        return sum(
            different(expected[number], last[number][1] if number in last else {}) for number in expected
        )


class EngineStage(Stage):
    """The counting processor on the engine, hosted as `host` says."""

    kinds = ("engine",)
    steps: Mapping[str, range] = {"engine": range(1, 7)}

    def __init__(self, settings: Settings, host: str) -> None:
        super().__init__(settings)
        self.name = f"engine alone, on {'a bare group' if host == 'group' else 'Faust'}"
        self._host = host
        patient = replace(settings.kafka, transaction_timeout_ms=LONG_MS)
        self._feed = Feed(replace(settings, kafka=patient))

    def launch(
        self, kind: str, settings: Settings, fault: str = "", wrapped: Sequence[str] = ()
    ) -> EngineProcess:
        return EngineProcess(settings, self._host, fault, wrapped)

    def sending(self) -> AbstractContextManager[None]:
        return self._feed.sending(PACKS_PER_SECOND)

    def spare_aborts(self) -> None:
        self._feed.aborts = 0.0

    def events(self) -> int:
        return self._feed.events

    @property
    def outputs(self) -> list[str]:
        return [self.settings.topics.interests]

    def look(self, message: Message) -> Sight:
        return counting_sight(message)

    def disk(self, settings: Settings) -> Path:
        return Path(settings.app.data, NAME)

    def stores(self, settings: Settings) -> Iterable[Path]:
        return self.disk(settings).glob("[0-9]*")

    def judge(self) -> Outcome:
        outcome = Outcome("", self.name, self.events())
        found: dict[bytes, Counter[bytes]] = defaultdict(Counter)
        for message in read_all(self.settings, self.settings.topics.interests):
            found[message.key() or b""][message.value() or b""] += 1
        for user in found.keys() | self._feed.outputs.keys():
            wanted = Counter(self._feed.outputs.get(user, []))
            outcome.missing += (wanted - found[user]).total()
            outcome.doubled += (found[user] - wanted).total()
        held = states(changelog(self.settings))
        counts = {user: count_of(state) for user, state in held.items()}
        wanted_counts = {user: count_of(state) for user, state in self._feed.states.items()}
        outcome.lost, outcome.twice = compare_counts(wanted_counts, counts)
        outcome.differing = different(self._feed.states, held)
        return outcome


class _Glance(msgspec.Struct):
    """The fields of interests and recommendations that a watch needs."""

    version: int
    event_count: int = -1
    as_of: dict[str, int] = {}


class WorkersStage(Stage):
    """`penchant encode` and `penchant interests`, with the default models."""

    name = "encode and interests workers"
    kinds = ("encode", "interests")
    steps: Mapping[str, range] = {"encode": range(1, 6), "interests": range(1, 7)}

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self._feed = Interactions(settings)
        self._glance = msgspec.json.Decoder(_Glance).decode

    def launch(
        self, kind: str, settings: Settings, fault: str = "", wrapped: Sequence[str] = ()
    ) -> ProductProcess:
        return ProductProcess(kind, settings, fault, wrapped)

    def sending(self) -> AbstractContextManager[None]:
        return self._feed.sending(EVENTS_PER_SECOND)

    def spare_aborts(self) -> None:
        """There are none: what the encode worker aborts it does again."""

    def events(self) -> int:
        return self._feed.sent

    @property
    def outputs(self) -> list[str]:
        return [self.settings.topics.interests, self.settings.topics.recommendations]

    def look(self, message: Message) -> Sight:
        glance = self._glance(message.value() or b"")
        return Sight(glance.version, glance.event_count, next(map(int, glance.as_of), None))

    def disk(self, settings: Settings) -> Path:
        return Path(settings.app.data, "interests")

    def stores(self, settings: Settings) -> Iterable[Path]:
        return self.disk(settings).glob("*/interests/[0-9]*")

    def judge(self) -> Outcome:
        raw, packs = raw_events(self.settings), packs_by_partition(self.settings)
        outcome = Outcome("", self.name, len(raw))
        held, wanted = changelog_states(self.settings), reference_states(self.settings, packs)
        outcome.differing = different(wanted, held)
        sent = Counter(user for _, user in raw.values())
        outcome.lost, outcome.twice = compare_counts(sent, events_in(held))
        rows = Counter((partition, row.offset) for partition, row in event_rows(packs))
        outcome.lost += len(raw.keys() - rows.keys())
        outcome.twice += rows.total() - len(rows)
        causes = causes_of(interests_by_user(self.settings))
        ids = Counter(event_id for event_id, _ in raw.values())
        outcome.missing = (ids - causes).total()
        outcome.doubled = (causes - ids).total()
        return outcome


def read_store(folder: Path) -> tuple[int, dict[bytes, bytes]]:
    """The changelog offset that a store has reached, and its values."""
    store = RocksStore(folder)
    try:
        values = dict(store.scan(b""))
    finally:
        store.close()
    bookmark = values.pop(BOOKMARK_KEY, None)
    return -1 if bookmark is None else Bookmark.decode(bookmark).offset, values


def different(wanted: Mapping[bytes, bytes], found: Mapping[bytes, bytes]) -> int:
    """Keys with other values, or in one of the two alone."""
    return sum(wanted.get(key) != found.get(key) for key in wanted.keys() | found.keys())


def compare_counts(wanted: Mapping[KeyT, int], found: Mapping[KeyT, int]) -> tuple[int, int]:
    """Events that are missing, and events that are too many."""
    lost = sum(max(0, count - found.get(key, 0)) for key, count in wanted.items())
    twice = sum(max(0, count - wanted.get(key, 0)) for key, count in found.items())
    return lost, twice
