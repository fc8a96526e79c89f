"""A deployment gets another name, on a real Kafka: it goes on where it stood; its old name writes no more."""

from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import pytest
from msgspec.structs import replace
from test_commands import penchant
from test_whole_way import latest

from streams.broker import LocalCluster
from streams.broker.ports import free_ports
from streams.demo.stage import workers
from streams.engine.kafka_engine import group_of
from streams.engine.kafka_journal import JournalNames, KafkaJournal
from streams.engine.place import PLACE_KEY
from streams.errors import InputError, OwnershipLost, RenameError
from streams.groups import groups_of, living
from streams.kafka import TopicPartition, admin_client
from streams.records import Interest
from streams.rename import Rename, changelogs_of
from streams.settings import Settings
from streams.topic_plans import user_state_changelog
from streams.topics import create_topics, partition_counts
from tests.cut_changelog import cut
from tests.encode_harness import covered, event, rows_of, running, until
from tests.engine_feed import changelog
from tests.integration.conftest import fresh_settings, produce_json, read_all

pytestmark = pytest.mark.timeout(240)


@pytest.fixture
def settings(kafka: LocalCluster, tmp_path: Path) -> Settings:
    """Few partitions, since each is opened three times."""
    made = fresh_settings(kafka.bootstrap_servers, tmp_path, partitions=2)
    create_topics(made)
    return made


def named(settings: Settings, name: str) -> Settings:
    return replace(settings, app=replace(settings.app, name=name))


def journal(settings: Settings, partition: int = 0) -> KafkaJournal:
    """Of the users' states, open."""
    names = JournalNames(
        group_of(settings, "interests"),
        settings.topics.interactions_encoded,
        user_state_changelog(settings),
    )
    opened = KafkaJournal(settings.kafka, names, partition)
    opened.fence(lambda: False)
    return opened


def put(opened: KafkaJournal, changes: Mapping[bytes, bytes | None]) -> None:
    opened.produce([], changes)
    opened.commit()


def interests(settings: Settings) -> dict[str, Interest]:
    found = latest(settings, settings.topics.interests, Interest)
    return {user: each for user, each in found.items() if isinstance(each, Interest)}


def counted(settings: Settings) -> int:
    return sum(each.event_count for each in interests(settings).values())


def test_it_goes_on_under_its_new_name(settings: Settings, tmp_path: Path) -> None:
    """With 40 events before and 40 after: none is lost, encoded again, or counted twice."""
    old, new = settings.app.name, f"{settings.app.name}-new"
    (port,) = free_ports(1)

    def work(current: Settings, sent: range, total: int) -> None:
        with workers(current, tmp_path, {"interests": port}), running(current):
            refused = penchant(current, "app", "rename", old, new)
            assert refused.exit_code == 1
            assert "workers live in the groups" in refused.stderr
            assert f"{current.app.name}-interests" in refused.stderr
            produce_json(current, current.topics.interactions, [event(n) for n in sent])
            until("all to be counted", lambda: counted(current) == total)

    work(settings, range(40), 40)
    until("the groups to be empty", lambda: not living(admin_client(settings.kafka), groups_of(settings)))
    told = penchant(settings, "app", "rename", old, new)
    assert told.exit_code == 0, told.output
    renamed = named(settings, new)
    before, after = changelog(settings), changelog(renamed)
    assert before == after and sum(map(len, after.values())) > 40
    assert f"penchant-{new}-user-state-changelog: {sum(map(len, after.values())):,} records" in told.stdout
    assert penchant(settings, "app", "rename", old, new).exit_code == 0

    work(renamed, range(40, 80), 80)
    assert sorted(int(row.event_id[1:]) for row in rows_of(settings)) == list(range(80))
    assert covered(settings) == 80
    assert {user: each.version for user, each in interests(settings).items()} == Counter(
        f"user-{number % 50}" for number in range(80)
    )

    until("the groups to be empty", lambda: not living(admin_client(settings.kafka), groups_of(renamed)))
    removed = penchant(renamed, "app", "remove", old)
    assert removed.exit_code == 0, removed.output
    for name in (*changelogs_of(settings), f"{old}-encode", f"{old}-interests"):
        assert f"deleted {name}\n" in removed.stdout
    until(
        "the topics to go",
        lambda: not partition_counts(admin_client(settings.kafka), changelogs_of(settings)),
    )
    assert penchant(renamed, "app", "remove", old).stdout == f"nothing of {old} is there\n"


def test_a_copy_that_was_interrupted_is_ended_by_the_next_run(settings: Settings) -> None:
    """What the first run copied and the old name has deleted since, the new name must not keep."""
    renamed = named(settings, f"{settings.app.name}-new")
    create_topics(renamed)
    half = journal(renamed)
    put(half, {b"uann": b"1", b"ubob": b"1", b"ueve": b"1"})
    half.close()
    owner = journal(settings)
    place = b"any bytes: places are copied as they are"
    put(owner, {b"uann": b"1", b"ubob": b"2", b"ucid": b"3", b"udan": b"4", PLACE_KEY: place})
    put(owner, {b"udan": None})
    copied = Rename(settings, settings.app.name, renamed.app.name).run()
    kept = {key: value for key, value in changelog(renamed)[0].items() if value}
    assert kept == {b"uann": b"1", b"ubob": b"2", b"ucid": b"3", PLACE_KEY: place}
    assert [(each.new, each.records) for each in copied] == [
        (name, records) for name, records in zip(changelogs_of(renamed), (4, 0), strict=True)
    ]
    last = [m for m in read_all(settings, user_state_changelog(renamed)) if m.partition() == 0][-1]
    assert last.key() == PLACE_KEY
    with pytest.raises(OwnershipLost):
        put(owner, {b"uann": b"a zombie's"})


def test_a_new_name_with_states_of_its_own_is_refused(settings: Settings) -> None:
    renamed = named(settings, f"{settings.app.name}-new")
    create_topics(renamed)
    for each, states in ((settings, {b"uann": b"1"}), (renamed, {b"uann": b"2"})):
        owner = journal(each)
        put(owner, {**states, PLACE_KEY: b"p"})
        owner.close()
    with pytest.raises(RenameError, match=f"penchant app remove {renamed.app.name}"):
        Rename(settings, settings.app.name, renamed.app.name).run()
    assert changelog(renamed)[0][b"uann"] == b"2"


def test_a_changelog_that_was_cut_is_not_copied(settings: Settings) -> None:
    owner = journal(settings)
    put(owner, {b"uann": b"1", PLACE_KEY: b"p"})
    owner.close()
    cut(settings, [TopicPartition(user_state_changelog(settings), 0, 1)])
    with pytest.raises(RenameError, match="was cut up to offset 1"):
        Rename(settings, settings.app.name, f"{settings.app.name}-new").run()


def test_names_that_cannot_be(settings: Settings) -> None:
    with pytest.raises(RenameError, match="is nobody the right name"):
        Rename(settings, "nobody", "somebody").run()
    for name in (settings.app.name, "a name", ""):
        with pytest.raises(InputError):
            Rename(settings, settings.app.name, name)
    assert penchant(settings, "app", "remove", settings.app.name).exit_code == 2
