"""A user's rights on a real Kafka and real stores: what is held is told, and what is forgotten is gone."""

import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import msgspec
import pytest
from rocksdict import BottommostLevelCompaction, CompactOptions, Options, Rdict

from encoders.bank import EncoderBank
from encoders.base import Medium, Modality
from encoders.vector_cache import VectorCache
from state.artifact import load_artifact
from state.fusion import Fusion
from state.holdings import Names, held_state
from streams.broker import ClusterOptions, LocalCluster
from streams.broker.ports import free_ports
from streams.demo.stage import workers
from streams.encode.configured_media import configured_media
from streams.encode.media import MediaEncoder
from streams.holdings import Holdings
from streams.interests.worker import InterestsWorker
from streams.kafka import AdminClient, ConfigResource, ResourceType, admin_client
from streams.settings import Settings
from streams.topic_plans import plan_topics
from streams.topics import create_topics
from tests.command_line import penchant
from tests.encode_harness import SECONDS, rows_of, running, served, until
from tests.integration.conftest import fresh_settings, produce_json, read_all
from tests.merge_trial import assert_same_picture, merged_under_fire

pytestmark = [pytest.mark.timeout(300), pytest.mark.filterwarnings("ignore:alter_configs")]

USER = "karl-heinz-42"
MEDIUM = "data:text/plain,what karl-heinz wrote"
DIARY = "The diary of karl-heinz"
SONG = "A song that everybody sings"


@pytest.fixture(scope="module")
def cleaning(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCluster]:
    """A broker that compacts and cuts at once."""
    options = ClusterOptions(
        properties={
            "log.cleaner.backoff.ms": "50",
            "log.retention.check.interval.ms": "200",
            "log.initial.task.delay.ms": "100",
        }
    )
    with LocalCluster(tmp_path_factory.mktemp("cleaning"), options) as cluster:
        yield cluster


def exported(settings: Settings, user: str) -> Holdings:
    result = penchant(settings, "user", "export", user)
    assert result.exit_code == 0, result.output
    return msgspec.json.decode(result.stdout, type=Holdings)


def event(user: str, number: int, **fields: object) -> tuple[str, dict[str, object]]:
    stamp = int(time.time() * 1000) - 60_000 + number
    told = {"user_id": user, "action": "like", "timestamp": stamp, "event_id": f"{user}-event-{number}"}
    return user, {**told, "item_id": f"item-{number % 5}", **fields}


def alter(admin: AdminClient, topic: str, **values: str) -> None:
    resource = ConfigResource(
        ResourceType.TOPIC,
        topic,
        set_config={name.replace("_", "."): value for name, value in values.items()},
    )
    for future in admin.alter_configs([resource]).values():
        future.result(SECONDS)


def found(folder: Path, words: list[bytes], besides: str = "\0") -> dict[str, list[bytes]]:
    """Files that hold any of the words, but for those of topics whose names begin with `besides`."""
    where = {}
    for path in folder.rglob("*"):
        if path.is_file() and not path.parent.name.startswith(besides):
            try:
                content = path.read_bytes()
            except FileNotFoundError:
                continue
            if held := [word for word in words if word in content]:
                where[f"{path.parent.name}/{path.name}"] = held
    return where


def upload(folder: Path, name: str, words: str) -> dict[str, str]:
    """A reference to a medium of its own place."""
    path = folder / name
    path.write_text(words)
    return {"uri": path.as_uri(), "modality": "text"}


class Media:
    """Makes what encode workers encode media with: real encoders, and the vector cache on disk."""

    def __call__(self, settings: Settings, folder: Path, stack: ExitStack) -> MediaEncoder:
        self._cache = folder / "vectors"
        self._media = configured_media(settings, folder, stack)
        return self._media

    def cached(self, *texts: str) -> list[bool]:
        """Whether the disk has vectors of these texts. The worker must have ended."""
        bank = self._media._bank
        assert isinstance(bank, EncoderBank)
        cache = VectorCache(self._cache, 1_000_000_000)
        found = cache.get_many([bank.key(Medium(text.encode(), Modality.TEXT)) for text in texts])
        cache.close()
        return [value is not None for value in found]


def test_a_forgotten_user_is_nowhere_but_in_the_receipt(cleaning: LocalCluster, tmp_path: Path) -> None:
    """Topics are searched byte by byte on the broker's disk, after compaction and retention; so are the
    stores, a standby copy, and the vector cache, which real encoders fill."""
    settings = fresh_settings(cleaning.bootstrap_servers, tmp_path / "data", partitions=1)
    fetch = msgspec.structs.replace(settings.fetch, file_roots=(str(tmp_path / "media"),))
    settings = msgspec.structs.replace(settings, fetch=fetch)
    beside = msgspec.structs.replace(
        settings, app=msgspec.structs.replace(settings.app, data=str(tmp_path / "beside"))
    )
    create_topics(settings)
    names, admin = settings.topics, admin_client(settings.kafka)
    quick = {"segment_ms": "100", "file_delete_delay_ms": "10", "min_cleanable_dirty_ratio": "0.0001"}
    compacted = [plan.name for plan in plan_topics(settings) if plan.cleanup == "compact"]
    for topic in compacted:
        alter(
            admin,
            topic,
            cleanup_policy="compact",
            max_compaction_lag_ms="100",
            delete_retention_ms="0",
            **quick,
        )
    items = [
        (f"item-{number}", {"item_id": f"item-{number}", "title": f"thing {number}"}) for number in range(5)
    ]
    mine = [event(USER, number) for number in range(6)]
    (tmp_path / "media").mkdir()
    own, ours = (upload(tmp_path / "media", text, text) for text in (DIARY, SONG))
    brought = [{"uri": MEDIUM}, own, ours]
    mine.append(event(USER, 6, item_id=None, media=brought, text="karl-heinz says"))
    items[0][1]["media"] = [ours]
    words = [USER.encode(), f"{USER}-event-2".encode(), b"event-6", b"karl-heinz"]

    (tmp_path / "log").mkdir()
    copying = workers(beside, tmp_path / "log", {"interests": free_ports(1)[0]})
    media = Media()
    with running(settings, media), served(InterestsWorker(settings)), copying:
        produce_json(settings, names.items, items)
        until("the items", lambda: len(read_all(settings, names.items_encoded)) == 5)
        produce_json(settings, names.interactions, [*mine, event("bob", 0)])
        until("all events", lambda: counted(settings, USER) == 7)
        held = exported(settings, USER)
        assert_export_is_the_fold(settings, held)
        assert len(held.records[names.interactions]) == 7
        published = {topic for topic, value in held.outputs.items() if value is not None}
        assert published == {names.interests, names.recommendations}
        shown = penchant(settings, "user", "show", USER)
        assert shown.exit_code == 0 and "7 events" in shown.stdout and "like item-4" in shown.stdout

        forgotten = penchant(settings, "user", "forget", USER, "--wait")
        assert forgotten.exit_code == 0 and "done" in forgotten.stdout, forgotten.output
        after = exported(settings, USER)
        assert (after.state, after.profile, after.merged_users) == (None, None, [])
        assert set(after.outputs.values()) == {None} and after.mark is not None
        late = [event(USER, 6, timestamp=int(time.time() * 1000) - 3_600_000, event_id=f"{USER}-event-9")]
        produce_json(settings, names.interactions, late)
        again = penchant(settings, "user", "forget", USER, "--wait")
        assert "nothing was held" in again.stdout
        signed_in(settings)
        produce_json(settings, names.interactions, [event("bob", 99, item_id=None, media=[ours])])
        until("the medium of both", lambda: counted(settings, "eve") == 2)
        sent_on = [row for row in rows_of(settings) if (row.user_id, row.event_id) == ("eve", "bob-event-99")]
        assert [row.vectors.keys() for row in sent_on] == [{0}]
        roll(settings, cleaning.folder, words)
        assert exported(settings, USER).state is None

    for plan in plan_topics(settings):
        if plan.cleanup == "delete" and plan.name != names.user_receipts:
            alter(admin, plan.name, cleanup_policy="delete", retention_ms="1", **quick)
    until("retention", lambda: not found(cleaning.folder, words, besides=names.user_receipts))
    assert found(cleaning.folder, words)
    for folder in (tmp_path / "data", tmp_path / "beside"):
        compact_stores(folder)
        assert found(folder, words) == {}
        assert found(folder, [b"eve"])
    assert found(tmp_path / "log", words) == {}
    what = MEDIUM.partition(",")[2]
    assert media.cached(what, "karl-heinz says", DIARY, SONG) == [False, False, False, True]


def signed_in(settings: Settings) -> None:
    """A merge by the command; what still comes from bob is eve's from then on."""
    merged = penchant(settings, "user", "merge", "bob", "eve", "--wait")
    assert merged.exit_code == 0 and "done" in merged.stdout, merged.output
    eve, bob = exported(settings, "eve"), exported(settings, "bob")
    assert eve.merged_users == ["bob"] and eve.state is not None and eve.state.event_count == 1
    assert bob.state is None and bob.mark is not None and bob.mark.into == "eve"
    assert penchant(settings, "user", "merge", "bob", "bob").exit_code == 2
    assert "merged users: bob" in penchant(settings, "user", "show", "eve").stdout
    assert penchant(settings, "user", "show", "nobody").exit_code == 1


def counted(settings: Settings, user: str) -> int:
    state = exported(settings, user).state
    return 0 if state is None else state.event_count


def assert_export_is_the_fold(settings: Settings, held: Holdings) -> None:
    rows = [row for row in rows_of(settings) if row.user_id == USER]
    state = Fusion(load_artifact("")).fold([None], [rows]).states[0]
    names = Names([f"item-{number}" for number in range(5)])
    assert held.state == held_state(state, names)
    assert [event.items for event in held.state.events][:2] == [[], ["item-0"]]


def roll(settings: Settings, folder: Path, words: list[bytes]) -> None:
    """Closed segments alone are cleaned: other users' events go on until the compacted topics are clean."""
    compacted = {plan.name for plan in plan_topics(settings) if plan.cleanup == "compact"}
    deadline = time.monotonic() + SECONDS
    number = 1
    while dirty := [
        place for place in found(folder, words) if place.rpartition("/")[0].rpartition("-")[0] in compacted
    ]:
        assert time.monotonic() < deadline, f"still in {dirty}"
        produce_json(settings, settings.topics.interactions, [event("bob", number)])
        # Nobody describes here: but for this, nulls alone would lie in the topic, and its last segment stays.
        produce_json(settings, settings.topics.interest_descriptions, [("eve", {"number": number})])
        number += 1
        time.sleep(0.3)


def compact_stores(folder: Path) -> None:
    """As RocksDB does when files are due, to the last; what it logged besides goes when it is opened.

    The vector cache never rewrites a file.
    """
    thorough = CompactOptions()
    thorough.set_bottommost_level_compaction(BottommostLevelCompaction.force())
    stores = {path.parent for path in folder.rglob("CURRENT") if path.parent.name != "vectors"}
    assert stores
    for path in stores:
        store = Rdict(str(path), Options(raw_mode=True))
        store.flush()
        store.compact_range(None, None, thorough)
        store.close()
        Rdict(str(path), Options(raw_mode=True)).close()


def test_a_kill_between_the_halves_of_a_merge_changes_nothing(settings: Settings, tmp_path: Path) -> None:
    """The short form of tests/soak/test_merge_kills.py: the second half is killed before it is committed."""
    state, folded = merged_under_fire(settings, tmp_path, "4x2", free_ports(1)[0])
    assert_same_picture(state, folded)
