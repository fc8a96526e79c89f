"""Two artifacts, packs under load, and what readers of the outputs see while one model takes over."""

import json
import threading
import time
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import msgspec
import numpy as np

from state.artifact import Artifact, Weights, save_artifact, tensors
from state.events import Action, Pack, Row
from state.fusion import Fusion
from state.prior import content_prior
from streams import kafka
from streams.partitioning import partition_of
from streams.settings import Settings
from tests.encode_harness import until
from tests.integration.conftest import read_all
from tests.tastes import item, row

STOCK = [item(number) for number in range(24)]


def other_artifact(version: str = "other-1", scale: float = 0.5) -> Artifact:
    """Another model: its heads weigh all actions otherwise, and its values are turned."""
    prior = content_prior()
    weights = dict(tensors(prior.weights))
    weights["head_value"] = np.ascontiguousarray(weights["head_value"][:, ::-1]).astype(np.float32)
    weights["action_weight"] = (weights["action_weight"] * np.float32(scale)).astype(np.float32)
    return Artifact(version, Weights(**weights), prior.items)


def saved(folder: Path, version: str = "other-1", scale: float = 0.5) -> str:
    save_artifact(other_artifact(version, scale), str(folder), {"ndcg@10": "0.1234"})
    return str(folder)


@dataclass
class Feed:
    """Packs as the encode worker writes them, users by turns, from a thread, until it is stopped."""

    settings: Settings
    users: int = 40
    interval: float = 0.004
    rows: dict[str, list[Row]] = field(default_factory=dict)
    raw: dict[int, int] = field(default_factory=dict)
    start: int = 0
    shift: int = 0
    """By which the items are moved on: users take others then."""

    def __post_init__(self) -> None:
        self._client = kafka.producer(self.settings.kafka, overrides={"linger.ms": 0})
        self._stop = threading.Event()
        self._number = self.start
        self._thread: threading.Thread | None = None

    def send(self, count: int) -> None:
        """So many events, one after another."""
        for _ in range(count):
            self._one()
        assert self._client.flush(60) == 0

    def __enter__(self) -> "Feed":
        self._stop.clear()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        assert self._thread is not None
        self._thread.join(60)
        assert self._client.flush(60) == 0

    @property
    def count(self) -> int:
        return self._number

    def _run(self) -> None:
        while not self._stop.wait(self.interval):
            self._one()

    def _one(self) -> None:
        number, self._number = self._number, self._number + 1
        user = f"user-{number % self.users}"
        place = partition_of(user.encode(), self.settings.topics.partitions)
        offset = self.raw.get(place, 0)
        self.raw[place] = offset + 1
        now = int(time.time() * 1000)
        action = (Action.VIEW, Action.LIKE, Action.CLICK)[number % 3]
        shown = STOCK[(number + self.shift) % len(STOCK)]
        made = row(user, number, shown, action, offset=offset, broker_time=now)
        self.rows.setdefault(user, []).append(made)
        pack = Pack(offset, offset + 1, [made])
        topic = self.settings.topics.interactions_encoded
        self._client.produce(topic, msgspec.msgpack.encode(pack), partition=place)
        self._client.poll(0)


@dataclass
class Seen:
    """What `interests` has of each user, in order: version, model, causes, broker's time."""

    shown: dict[str, list[tuple[int, str, list[str], int]]]

    @property
    def causes(self) -> list[str]:
        return [event for each in self.shown.values() for _, _, events, _ in each for event in events]

    def check(self, feed: Feed) -> None:
        """Every event caused an output once, and no version or model went back."""
        causes = sorted(self.causes)
        wanted = sorted(each.event_id for rows in feed.rows.values() for each in rows)
        assert causes == wanted, (len(causes), len(wanted), sorted(set(wanted) ^ set(causes))[:5])
        for user, outputs in self.shown.items():
            versions = [version for version, *_ in outputs]
            assert versions == sorted(set(versions)), (user, versions)
            assert versions[-1] == len(feed.rows[user]), (user, versions)

    def models(self) -> list[str]:
        """Of each user, the models in the order in which they showed, without repetition."""
        orders = {tuple(dict.fromkeys(model for _, model, *_ in each)) for each in self.shown.values()}
        assert len(orders) == 1, orders
        return list(orders.pop())

    def passage(self, partitions: int = 2) -> float:
        """Longest silence of a partition as it went from one model to another, in seconds."""
        times: dict[int, list[tuple[int, str]]] = {}
        for user, outputs in self.shown.items():
            home = partition_of(user.encode(), partitions)
            times.setdefault(home, []).extend((at, model) for _, model, _, at in outputs)
        gaps = [
            later - before
            for each in times.values()
            for (before, one), (later, other) in pairwise(sorted(each))
            if one != other
        ]
        return max(gaps) / 1000


def seen(settings: Settings) -> Seen:
    shown: dict[str, list[tuple[int, str, list[str], int]]] = {}
    for message in read_all(settings, settings.topics.interests):
        value = json.loads(message.value() or b"null")
        told = (value["version"], value["model"], value["caused_by"], message.timestamp()[1])
        shown.setdefault(value["user_id"], []).append(told)
    return Seen(shown)


def assert_states(states: dict[bytes, bytes], feed: Feed, artifact: Artifact) -> None:
    """Each is the fold of its user's events under the artifact, to 1e-5."""
    fusion = Fusion(artifact)
    users = sorted(feed.rows)
    assert set(states) == {user.encode() for user in users}
    wanted = fusion.read(fusion.fold([None] * len(users), [feed.rows[user] for user in users]).states)
    found = fusion.read([states[user.encode()] for user in users])
    for name in ("interest", "heads", "head_weights", "event_count", "time_ms", "version"):
        np.testing.assert_allclose(getattr(found, name), getattr(wanted, name), atol=1e-5, err_msg=name)


def all_shown(settings: Settings, feed: Feed) -> None:
    """Waits until readers have seen what came of each event."""
    until("all outputs", lambda: len(seen(settings).causes) >= feed.count)
