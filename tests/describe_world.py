"""The describe loop without a broker: what it reads and writes, and a clock that is moved by hand."""

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import msgspec
from msgspec.structs import replace

from encoders.errors import LanguageError
from encoders.language.base import Description, Request, Sentence
from state.events import Action, Row
from state.profile import decode_profile
from state.store import MemoryStore
from streams.describe.loop import DescribeLoop, Tools
from streams.describe.memory import Memory
from streams.describe.recall import understood
from streams.describe.scribe import Scribe
from streams.describe.stage import Drafter
from streams.describe.states import Held
from streams.encode.sink import TransactionAborted
from streams.interests.outputs import Portraits, as_of_text, topics_text
from streams.raw import RawRecord
from streams.records import InterestDescription
from streams.settings import DescribeSettings, Settings
from tests.shelf import FUSION, Shelf, held
from tests.tastes import item, row

ITEMS = [item(number) for number in range(60)]
SHELF = Shelf(ITEMS)
TOPIC = Settings().topics.interests


class FakeSource:
    """`RawSource`, of records that a test gives; a fake for unit tests."""

    def __init__(self) -> None:
        self.positions: dict[tuple[str, int], int] = {}
        self.revoked: set[tuple[str, int]] = set()
        self.came: set[tuple[str, int]] = set()
        self.generation = 0
        self.forgot_ends = False
        self.log: dict[int, list[RawRecord]] = {}
        self._next: dict[int, int] = {}

        self._changes: list[Callable[[], None]] = []

    def assign(self, committed: Mapping[int, int]) -> None:
        """With the next read these partitions come, to be read from there on."""
        self._changes.append(lambda: self._assign(committed))

    def revoke(self, number: int) -> None:
        """With the next read the partition goes."""
        self._changes.append(lambda: self._revoke(number))

    def _assign(self, committed: Mapping[int, int]) -> None:
        for number, offset in committed.items():
            self.positions[TOPIC, number] = self._next[number] = offset
            self.came.add((TOPIC, number))
        self.generation += 1

    def _revoke(self, number: int) -> None:
        del self.positions[TOPIC, number]
        self.revoked.add((TOPIC, number))
        self.generation += 1

    def read(self, limit: int, wait: bool) -> list[RawRecord]:
        changes, self._changes = self._changes, []
        for change in changes:
            change()
        found = []
        for (_, number), _position in self.positions.items():
            fresh = self.log.get(number, [])[self._next[number] :]
            self._next[number] += len(fresh)
            found += fresh
        return found

    def rewind(self, beat: Callable[[], None]) -> None:
        for (_, number), position in self.positions.items():
            self._next[number] = position

    def passed(self) -> dict[tuple[str, int], int]:
        return {}

    def ask(self) -> None:
        """Nobody is asked."""

    def confirm(self, asked: None, beat: Callable[[], None]) -> None:
        """The topic is always the same."""

    def check(self) -> None:
        """The topic is always the same."""

    def offsets(self, ends: Mapping[tuple[str, int], int]) -> Mapping[tuple[str, int], int]:
        return ends

    def metadata(self) -> None:
        """There is no group."""

    def advance(self, ends: Mapping[tuple[str, int], int]) -> None:
        self.positions.update(ends)


class FakeSink:
    """`TransactionalSink` into a list; the next `failures` transactions fail. A fake for unit tests."""

    def __init__(self) -> None:
        self.written: list[tuple[str, InterestDescription | None]] = []
        self.failures = 0
        self.commits: list[dict[tuple[str, int], int]] = []

    def transact(self, write: Callable[[Any], None], offsets: Any, metadata: object) -> None:
        batch: list[tuple[str, InterestDescription | None]] = []
        write(batch)
        if self.failures:
            self.failures -= 1
            raise TransactionAborted("as the test wishes")
        self.written += batch
        self.commits.append(dict(offsets))

    def put(self, client: Any, topic: str, **record: Any) -> None:
        value = record["value"]
        told = None if value is None else msgspec.json.decode(value, type=InterestDescription)
        client.append((record["key"].decode(), told))


class FakeStates:
    """`StateCopies` in a dictionary; a fake for unit tests."""

    def __init__(self) -> None:
        self.held: dict[bytes, Held] = {}
        self.followed: set[int] = set()

    def follow(self, numbers: Iterable[int]) -> None:
        self.followed = set(numbers)

    def level(self, number: int) -> bool:
        return number in self.followed

    def read(self, users: Sequence[tuple[int, bytes]]) -> dict[bytes, Held]:
        return {user: self.held[user] for _, user in users if user in self.held}


class FakeRecall:
    """`Recall` of what a sink has; a fake for unit tests."""

    def __init__(self, sink: FakeSink) -> None:
        self._sink = sink
        self._asked: set[int] = set()
        self.late = False

    def ask(self, numbers: Iterable[int]) -> None:
        self._asked.update(numbers)

    def drop(self, numbers: Iterable[int]) -> None:
        self._asked.difference_update(numbers)

    def take(self) -> dict[int, Memory]:
        if self.late:
            return {}
        asked, self._asked = self._asked, set()
        found = {number: Memory(MemoryStore(), number) for number in asked}
        written = {
            user.encode(): None if told is None else understood(msgspec.json.encode(told))
            for user, told in self._sink.written
        }
        for memory in found.values():
            memory.fill(written)
        return found


class FakeWriter:
    """Says which topics it was told of, once it is let; a fake for unit tests."""

    name, version = "fake", "1"

    def __init__(self) -> None:
        self.let = threading.Event()
        self.let.set()
        self.asked: list[Request] = []
        self.fails = False

    def write(self, requests: Sequence[Request]) -> list[Description | LanguageError]:
        self.asked += requests
        assert self.let.wait(60)
        if self.fails:
            return [LanguageError("busy", "as the test wishes") for _ in requests]
        return [self._one(request) for request in requests]

    def close(self) -> None:
        """Nothing is held."""

    def _one(self, request: Request) -> Description:
        topics = [each for each in request.statements if each.id.startswith("t")]
        said = Sentence(" ".join(each.text for each in topics), tuple(each.id for each in topics))
        return Description((said,), (), (), self.name, request.language)


class World:
    """A loop with its partitions 0 and 1 assigned, and users who act."""

    def __init__(self, **changes: object) -> None:
        self.settings = replace(
            Settings(), describe=replace(DescribeSettings(interval_seconds=0.0), **changes)
        )
        self.source, self.sink = FakeSource(), FakeSink()
        self.states, self.writer = FakeStates(), FakeWriter()
        self.recall = FakeRecall(self.sink)
        self.now = 1_000_000
        self.rows: dict[str, list[Row]] = {}
        self.loop = self.start()

    def start(self) -> DescribeLoop:
        """A worker anew, which reads from what is committed."""
        tools: Any = Tools(
            Drafter(FUSION, SHELF, self.settings),
            self.states,  # type: ignore[arg-type]
            self.recall,  # type: ignore[arg-type]
            Scribe(self.writer, self.writer, 600.0),
            lambda: True,
            2,
            lambda: self.now,
        )
        before = {number: self.source.positions.get((TOPIC, number), 0) for number in (0, 1)}
        self.source.assign(before)
        self.loop = DescribeLoop(self.settings, self.source, self.sink, tools)  # type: ignore[arg-type]
        self.step()
        return self.loop

    def act(self, user: str, group: int, count: int, number: int = 0, **fields: object) -> None:
        """Likes of items of a group: their state is there, and the interest in the topic."""
        rows = self.rows.setdefault(user, [])
        for _ in range(count):
            shown = ITEMS[(6 * len(rows) + group) % 60]
            rows.append(row(user, len(rows), shown, Action.LIKE))
        self.states.held[user.encode()] = held(rows)
        self.publish(user, number, **fields)

    def publish(self, user: str, number: int = 0, **fields: object) -> None:
        state, profile = self.states.held[user.encode()]
        portraits = Portraits(FUSION.read([state]), FUSION.artifact.version, [user])
        topics = topics_text(decode_profile(profile), SHELF.topic_names)
        value = portraits.interest(0, b'"caused_by":[]', topics, as_of_text(number, 7, ""))
        told = {**msgspec.json.decode(value), **fields}
        self._append(user, number, msgspec.json.encode(told))

    def forget(self, user: str, number: int = 0) -> None:
        self.states.held.pop(user.encode(), None)
        self.rows.pop(user, None)
        self._append(user, number, None)

    def step(self, seconds: float = 0.0) -> None:
        """One step of the loop, so much later, with what was being written come back if it may."""
        self.now += round(seconds * 1000)
        self.loop._commits_at = 0.0
        self.loop.step(lambda: None)
        job = self.loop._tools.scribe._job
        if job is not None and self.writer.let.is_set():
            assert job.ended.wait(60)

    def settle(self, seconds: float = 1.0) -> None:
        """Steps until nothing is written any more."""
        for _ in range(4):
            self.step(seconds)

    def told(self, user: str) -> list[str | None]:
        """What was published of the user, nulls as none."""
        return [None if said is None else said.summary for name, said in self.sink.written if name == user]

    def committed(self, number: int = 0) -> int:
        return self.source.positions[TOPIC, number]

    def _append(self, user: str, number: int, value: bytes | None) -> None:
        log = self.source.log.setdefault(number, [])
        log.append(RawRecord(TOPIC, number, len(log), self.now, user.encode(), value))
