"""A broker without replicas that ends in the wrong moment ends a transaction and skips its markers."""

from collections.abc import Iterator
from dataclasses import replace

import pytest

from streams.broker import ClusterOptions, LocalCluster
from streams.engine.place import BOOKMARK_KEY, PLACE_KEY, Bookmark, Place
from streams.partitioning import partition_of
from streams.settings import Settings
from streams.topics import create_topics, user_state_changelog
from tests.counting import KIND_USER
from tests.integration.conftest import fresh_settings
from tests.integration.test_engine_fencing import Owner, expected, names, outputs, source
from tests.raw_wire import leave_open


@pytest.fixture(scope="module")
def forgetful(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCluster]:
    options = ClusterOptions(properties={"transaction.partition.verification.enable": "false"})
    with LocalCluster(tmp_path_factory.mktemp("kafka"), options) as cluster:
        yield cluster


@pytest.mark.parametrize("told", [False, True])
def test_what_a_broker_forgot_to_end_is_never_seen(
    forgetful: LocalCluster, tmp_path_factory: pytest.TempPathFactory, told: bool
) -> None:
    """Also where its owner was told that it was committed, and so has it in its store."""
    settings = fresh_settings(forgetful.bootstrap_servers, tmp_path_factory.mktemp("data"))
    create_topics(settings)
    records = source(12)
    first = Owner(settings)
    first.open()
    first.process(records, 0, 4)
    first.engine.close(0)
    batch = fifth_batch(Place.decode(first.dump()[PLACE_KEY]))
    forget(settings, batch)
    if told:
        bookmark = Bookmark.decode(first.store.get(BOOKMARK_KEY) or b"")
        # Behind the marker of the batch before.
        first.store.write({**batch, BOOKMARK_KEY: replace(bookmark, offset=bookmark.offset + 3).encode()})
    owner = Owner(settings, store=first.store if told else None)
    assert owner.open() == 4
    assert owner.process(records, 4, 12).lost == {}
    assert owner.states() == expected(12)[0]
    assert outputs(settings) == expected(12)[1]
    again = Owner(settings)
    assert again.open() == 12
    assert again.dump() == owner.dump()


def fifth_batch(before: Place) -> dict[bytes, bytes]:
    """State and place, as the batch with the fifth record changes them."""
    states, after = expected(5)
    [output] = set(after) - set(expected(4)[1])
    [user] = [user for user, state in states.items() if state == output]
    return {KIND_USER + user: output, PLACE_KEY: replace(before, source=5, raw=5).encode()}


def forget(settings: Settings, batch: dict[bytes, bytes]) -> None:
    """The batch as it lies there when the markers of its transaction are missing."""
    key, output = next(iter(batch.items()))
    user = key.removeprefix(KIND_USER)
    written = partition_of(user, settings.topics.partitions)
    leave_open(
        settings.kafka.bootstrap_servers,
        f"{names(settings).owner}-0",
        {
            (user_state_changelog(settings), 0): list(batch.items()),
            (settings.topics.interests, written): [(user, output)],
        },
    )
