"""Input that was written in transactions: markers take offsets, and no record ever comes for them."""

import json

from streams.kafka import TopicPartition, admin_client, producer
from streams.metrics import CONSUMER_LAG, exposition
from streams.settings import Settings
from tests.encode_harness import SECONDS, covered, event, packs_of, rows_of, running, until


def transact(settings: Settings, number: int, commit: bool = True) -> int:
    """One event in a transaction of its own. Returns its partition."""
    client = producer(settings.kafka, f"{settings.app.name}-transacting")
    client.init_transactions(SECONDS)
    client.begin_transaction()
    partitions: list[int] = []
    key, value = event(number)
    client.produce(
        settings.topics.interactions,
        json.dumps(value).encode(),
        key.encode(),
        on_delivery=lambda _, message: partitions.append(message.partition() or 0),
    )
    client.flush(SECONDS)
    (client.commit_transaction if commit else client.abort_transaction)(SECONDS)
    return partitions[0]


def ends(settings: Settings) -> dict[int, int]:
    """By partition of `interactions`, how far packs cover it."""
    return {partition: max(pack.end for pack in packs) for partition, packs in packs_of(settings).items()}


def lag(settings: Settings, partition: int) -> float:
    """The gauge as Prometheus reads it."""
    name = f'penchant_consumer_lag{{partition="{partition}",topic="{settings.topics.interactions}"}} '
    (line,) = (line for line in exposition().decode().splitlines() if line.startswith(name))
    return float(line.removeprefix(name))


def cut(settings: Settings, partition: int, offset: int) -> None:
    """As retention does."""
    place = TopicPartition(settings.topics.interactions, partition, offset)
    admin = admin_client(settings.kafka)
    for future in admin.delete_records([place]).values():
        future.result(SECONDS)


def test_a_worker_starts_where_retention_cut_all_that_it_has_read(settings: Settings) -> None:
    with running(settings):
        partition = transact(settings, 0)
        until("the marker to be covered, too", lambda: ends(settings).get(partition) == 2)
    cut(settings, partition, 2)
    with running(settings):
        transact(settings, 50)
        until("the next event", lambda: len(rows_of(settings)) == 2)


def test_what_was_aborted_is_covered_without_a_row(settings: Settings) -> None:
    with running(settings):
        partition = transact(settings, 0, commit=False)
        until("record and marker to be covered", lambda: ends(settings).get(partition) == 2)
        transact(settings, 50)
        until("the event", lambda: len(rows_of(settings)) == 1)
    assert covered(settings) >= 3
    assert [row.offset for row in rows_of(settings)] == [2]


def test_a_marker_is_no_record_that_waits(settings: Settings) -> None:
    with running(settings):
        partition = transact(settings, 0)
        until("the marker to be covered, too", lambda: ends(settings).get(partition) == 2)
        transact(settings, 50)
        until("the event", lambda: len(rows_of(settings)) == 2)
        CONSUMER_LAG.labels(settings.topics.interactions, str(partition)).set(-1)
        until("no lag", lambda: lag(settings, partition) == 0)


def test_a_worker_that_goes_covers_the_last_marker(settings: Settings) -> None:
    """It may stay away until retention has cut all; then markers look like records that were never read."""
    with running(settings):
        partition = transact(settings, 0)
        until("the marker to be covered, too", lambda: ends(settings).get(partition) == 2)
        transact(settings, 50)
        until("the event", lambda: len(rows_of(settings)) == 2)
        CONSUMER_LAG.labels(settings.topics.interactions, str(partition)).set(-1)
        until("the end to be reached", lambda: lag(settings, partition) == 0)
    assert ends(settings)[partition] == 4
