"""A world of users on the real engine, without a broker: rows go where their users are."""

from collections.abc import Sequence

import msgspec
import numpy as np
import pytest

from state.events import Action, Command, Pack, Row, RowKind
from state.fusion import Fusion
from state.prior import content_prior
from streams.engine.engine import EngineOptions
from streams.engine.processor import Output
from streams.interests.identity import IdentityProcessor
from streams.interests.marks import KIND_MARK, Mark, mark_key
from streams.interests.processor import KIND_FUSION, InterestsProcessor
from streams.partitioning import partition_of
from streams.records import Interest, UserReceipt
from streams.settings import Settings
from streams.testing import Driver
from tests.tastes import MINUTE, START, catalogue, item, row

STOCK = [item(number) for number in range(40)]
TOPICS = Settings().topics
PARTITIONS = 4
DAY = 86_400_000
FUSION = Fusion(content_prior())


def processor(settings: Settings | None = None) -> IdentityProcessor:
    settings = settings or Settings()
    made, fusion = catalogue(STOCK)
    return IdentityProcessor(InterestsProcessor(fusion, made, settings), fusion.artifact, settings)


class World:
    """A driver, and rows that go where their users are."""

    def __init__(self, options: EngineOptions | None = None, settings: Settings | None = None) -> None:
        self.settings = settings
        self.driver = Driver(processor(settings), PARTITIONS, options, loop=TOPICS.interactions_encoded)

    def send(self, rows: Sequence[Row]) -> None:
        """Each row in a pack of its own, which may share micro-batches with others."""
        packs: dict[int, list[bytes]] = {}
        for each in rows:
            packs.setdefault(home(each.user_id), []).append(alone(each))
        for number, values in packs.items():
            self.driver.push_many(values, number)

    def states(self) -> dict[str, bytes]:
        return {
            key[1:].decode(): value
            for number in range(PARTITIONS)
            for key, value in self.driver.stored(number, KIND_FUSION).items()
        }

    def mark(self, user: str) -> Mark | None:
        value = self.driver.stored(home(user), KIND_MARK).get(mark_key(user))
        return None if value is None else Mark.decode(value)

    def receipts(self) -> list[UserReceipt]:
        outputs = self.driver.outputs(TOPICS.user_receipts)
        return [msgspec.json.decode(output.value or b"", type=UserReceipt) for output in outputs]

    def last(self, topic: str) -> dict[bytes, bytes | None]:
        """As compaction leaves it."""
        kept: dict[bytes, bytes | None] = {}
        for output in self.driver.outputs(topic):
            kept.pop(output.key, None)
            kept[output.key] = output.value
        return kept

    def restart(self, wipe: bool = False) -> None:
        self.driver.restart(processor(self.settings), wipe)

    def holds(self, text: str) -> list[str]:
        """Where the text is found in what compaction leaves of stores, changelogs and compacted outputs."""
        sought, found = text.encode(), []
        for number in range(PARTITIONS):
            self.driver.log.compact(number)
            records = list(self.driver.log.records(number, 0, self.driver.log.end(number)))
            changelog = [(key, value or b"") for _, key, value in records]
            for place, pairs in (("store", self.driver.stored(number).items()), ("changelog", changelog)):
                found += [place for key, value in pairs if sought in key or sought in value]
        for topic in (TOPICS.interests, TOPICS.recommendations, TOPICS.item_deltas, TOPICS.user_receipts):
            pairs = self.last(topic).items()
            found += [topic for key, value in pairs if value is not None and sought in key + value]
        return found


def home(user: str) -> int:
    return partition_of(user.encode(), PARTITIONS)


def alone(each: Row) -> bytes:
    return msgspec.msgpack.encode(Pack(-1, -1, [each]))


def event(user: str, number: int, **changes: object) -> Row:
    return row(user, number, STOCK[number % len(STOCK)], Action.LIKE, **{"offset": -1, **changes})


def command(kind: RowKind, user: str, at: int, into: str = "", name: str = "") -> Row:
    time = START + at * MINUTE
    return Row(
        user_id=user,
        event_id=name or f"{kind.name}-{user}-{at}",
        action=0,
        time=time,
        offset=-1,
        broker_time=time,
        kind=int(kind),
        command=Command(into=into),
    )


def forget(user: str, at: int, name: str = "") -> Row:
    return command(RowKind.FORGET, user, at, name=name)


def merge(user: str, into: str, at: int, name: str = "") -> Row:
    return command(RowKind.MERGE, user, at, into, name)


def assert_same(world: World, one: World, version: bool = True) -> None:
    """The one user of both worlds is the same: to 1e-5 where numbers are rounded."""
    (mine,), (theirs,) = world.states().values(), one.states().values()
    left, right = FUSION.read([mine]), FUSION.read([theirs])
    for name in ("interest", "heads", "head_weights", "modalities"):
        np.testing.assert_allclose(getattr(left, name), getattr(right, name), atol=1e-5, err_msg=name)
    assert left.event_count.tolist() == right.event_count.tolist()
    assert left.time_ms.tolist() == right.time_ms.tolist()
    if version:
        assert left.version.tolist() == right.version.tolist()
    shown = [outputs(each.driver.outputs(TOPICS.interests)) for each in (world, one)]
    assert shown[0].topics == pytest.approx(shown[1].topics, abs=2e-4)


def outputs(each: Sequence[Output]) -> Interest:
    return msgspec.json.decode([output.value for output in each if output.value][-1], type=Interest)
