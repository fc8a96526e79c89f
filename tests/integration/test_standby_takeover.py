"""A worker that joins warms up before it takes its part; its copies take over when the other is killed."""

from streams.engine.placement import Rules
from streams.kafka import producer
from streams.settings import Settings
from streams.topic_plans import user_state_changelog
from tests.engine_feed import changelog, check_outputs, states, stores, wait_for_end
from tests.takeover import Crew, Ear, Pulse

SECONDS = 60.0


def fill(settings: Settings, records: int) -> None:
    """So many records of a past in each partition, every second one deleted again."""
    client = producer(settings.kafka, f"{settings.app.name}-past")
    client.init_transactions(SECONDS)
    client.begin_transaction()
    for partition in range(settings.topics.partitions):
        for number in range(records):
            value = b"x" if number < records // 2 or number % 2 else None
            key = b"z%d" % (number % (records // 2))
            client.produce(user_state_changelog(settings), value, key, partition)
    client.commit_transaction(SECONDS)


def test_a_warm_copy_takes_over(settings: Settings) -> None:
    fill(settings, Rules().tolerance + 100)
    with Ear(settings) as ear, Crew(settings, ear) as crew:
        first = crew.workers[crew.start()]
        assert first.wait_owning(lambda owned: len(owned) == 4, SECONDS)
        pulse = Pulse(settings)
        with pulse.beating():
            # The state is too much to move at once: only who has copied its part is given it.
            second = crew.workers[crew.start()]
            crew.wait_settled(2, SECONDS)
            assert second.owned | second.warm == {0, 1, 2, 3}
            first.kill()
            assert second.wait_owning(lambda owned: len(owned) == 4, SECONDS) == {0, 1, 2, 3}
        for number in range(4):
            assert f"counting-{number}: the standby at offset" in second.said()
        wait_for_end(settings, pulse)
        check_outputs(settings, pulse)
        second.stop()
        assert states(changelog(settings)) == pulse.states
        kept = stores(crew.settings_of("disk-2"))
    log = {
        number: {key: value for key, value in records.items() if value}
        for number, records in changelog(settings).items()
    }
    assert kept == log
