"""What follows upon what, on a real Kafka: counted exactly through a kill -9, and shown with its reason."""

import math
import os
import random
import signal
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from msgspec.structs import replace

from state.events import Action, Row
from state.settings import RecommendSettings
from state.slots import item_hash
from state.strategies.following import WINDOW, entries_of
from state.trending import ItemSignal, decode_signal
from streams.broker import LocalCluster
from streams.broker.ports import free_ports
from streams.demo.stage import workers
from streams.interests.worker import InterestsWorker
from streams.kafka import producer
from streams.partitioning import partition_of
from streams.records import Recommendation, RecommendedItem
from streams.settings import Settings
from streams.topics import create_topics
from tests.encode_harness import SECONDS, served, until
from tests.integration.conftest import fresh_settings, read_all
from tests.tastes import item, pack, row

pytestmark = pytest.mark.timeout(300)

STOCK = [item(number) for number in range(18)]
PARTITIONS = 2
USERS, EVENTS = 60, 600
NEVER = 1e9
"""Half-lives in days and hours so long that nothing fades: counts are whole numbers."""


@pytest.fixture
def made(kafka: LocalCluster, tmp_path: Path) -> Settings:
    settings = fresh_settings(kafka.bootstrap_servers, tmp_path / "data", partitions=PARTITIONS)
    wanted = RecommendSettings(
        weights={"collaborative": 1.0},
        neighbours=len(STOCK),
        neighbours_half_life_days=NEVER,
        trending_half_life_hours=NEVER,
        diversity=0.0,
    )
    settings = replace(settings, recommend=wanted)
    create_topics(settings)
    client = producer(settings.kafka)
    for each in STOCK:
        client.produce(settings.topics.items_encoded, msgspec.msgpack.encode(each), each.item_id.encode())
    assert client.flush(SECONDS) == 0
    return settings


class Feed:
    """Packs of one event, as the encode worker writes them."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._client = producer(settings.kafka)
        self._next: Counter[int] = Counter()

    def send(self, rows: list[Row]) -> None:
        for each in rows:
            place = partition_of(each.user_id.encode(), PARTITIONS)
            offset = self._next[place]
            self._next[place] += 1
            value = pack([msgspec.structs.replace(each, offset=offset)], offset)
            self._client.produce(self._settings.topics.interactions_encoded, value, partition=place)
        assert self._client.flush(SECONDS) == 0


def visits(chance: random.Random) -> list[Row]:
    """Mostly the next item but one or two of the last, so that some pairs come much more often."""
    at: Counter[str] = Counter()
    rows = []
    for number in range(EVENTS):
        user = f"user-{chance.randrange(USERS)}"
        at[user] += chance.choice((1, 1, 2, 7))
        action = chance.choice((Action.VIEW, Action.LIKE, Action.CLICK, Action.SKIP))
        rows.append(row(user, number, STOCK[at[user] % len(STOCK)], action))
    return rows


def reference(rows: list[Row]) -> tuple[Counter[tuple[str, str]], Counter[str]]:
    """Pairs (earlier item, item) and how often each item was taken anew, by looking back over plain lists."""
    pairs: Counter[tuple[str, str]] = Counter()
    taken: Counter[str] = Counter()
    past: dict[str, list[str]] = defaultdict(list)
    skip = row("", 0, None, Action.SKIP).action
    for each in rows:
        if each.action == skip or each.item_id is None:
            continue
        latest = list(dict.fromkeys(reversed(past[each.user_id])))[:WINDOW]
        if each.item_id not in latest:
            taken[each.item_id] += 1
            pairs.update((earlier, each.item_id) for earlier in latest)
        past[each.user_id].append(each.item_id)
    return pairs, taken


def signals(settings: Settings) -> dict[str, ItemSignal]:
    held = {}
    for message in read_all(settings, settings.topics.item_signals):
        signal_ = decode_signal(message.value() or b"")
        held[signal_.item_id] = signal_
    return held


def counted(settings: Settings) -> tuple[Counter[tuple[str, str]], Counter[str]]:
    """As the second engine has them, rounded: they are sums of ones, and nothing fades."""
    names = {item_hash(each.item_id): each.item_id for each in STOCK}
    pairs: Counter[tuple[str, str]] = Counter()
    taken: Counter[str] = Counter()
    for name, held in signals(settings).items():
        assert math.isclose(held.taken, round(held.taken), abs_tol=1e-3)
        taken[name] = round(held.taken)
        for entry in entries_of(held.followers):
            pairs[name, names[int(entry["item"])]] = round(float(entry["count"]))
    return +pairs, +taken


def events_counted(settings: Settings) -> int:
    return sum(held.events for held in signals(settings).values())


def slate_of(settings: Settings, user: str) -> list[RecommendedItem]:
    """The user's latest; nothing where there is none yet."""
    found: list[RecommendedItem] = []
    for message in read_all(settings, settings.topics.recommendations):
        if message.key() == user.encode():
            found = msgspec.json.decode(message.value() or b"", type=Recommendation).items
    return found


def followed_upon(place: RecommendedItem) -> Iterator[str]:
    return (reason.item_id or "" for reason in place.reasons if reason.strategy == "collaborative")


def test_pairs_are_counted_once_through_a_kill_and_bring_items_up(made: Settings, tmp_path: Path) -> None:
    rows, feed = visits(random.Random(6)), Feed(made)
    (port,) = free_ports(1)
    with workers(made, tmp_path, {"interests": port}) as (worker,):
        feed.send(rows[:200])
        until("some of it to be counted", lambda: events_counted(made) > 0)
        feed.send(rows[200:400])
        os.kill(worker.process.pid, signal.SIGKILL)
        worker.process.wait(10)
    feed.send(rows[400:])
    pairs, taken = reference(rows)
    with served(InterestsWorker(made)):
        until("all that was sent to be counted", lambda: events_counted(made) >= EVENTS)
        assert events_counted(made) == EVENTS
        assert counted(made) == (pairs, taken)

        start = STOCK[0].item_id
        followers = {later for earlier, later in pairs if earlier == start}
        best = max(
            followers, key=lambda name: pairs[start, name] / (math.sqrt(taken[start] * taken[name]) + 20)
        )
        newcomers = iter(range(EVENTS, 2 * EVENTS))

        def shown_by_what_others_took() -> bool:
            # Each is a new user, as the worker may have read only part of the counts before the first.
            number = next(newcomers)
            feed.send([row(f"new-{number}", number, STOCK[0])])
            until("the slate", lambda: bool(slate_of(made, f"new-{number}")))
            slate = slate_of(made, f"new-{number}")
            due = {place.item_id: list(followed_upon(place)) for place in slate}
            explained = {name for name, upon in due.items() if upon == [start]}
            return (
                slate[0].item_id == best
                and slate[0].source == "collaborative"
                and explained == followers & due.keys()
                and len(explained) == min(len(followers), len(slate))
            )

        until("slates from what others took", shown_by_what_others_took)
