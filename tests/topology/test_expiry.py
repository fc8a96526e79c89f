"""Users who do not come any more, on the real engine, without a broker."""

from streams.interests.expiry import PAUSE_MS, STEP_MS
from streams.settings import InterestsSettings, Settings
from tests.identity_world import DAY, FUSION, PARTITIONS, TOPICS, World, event, home
from tests.tastes import MINUTE


def test_users_who_do_not_come_any_more_leave() -> None:
    world = World(settings=Settings(interests=InterestsSettings(expire_days=2)))
    late = 2 * DAY // MINUTE + 100
    world.send([event(f"u{number}", number) for number in range(300)])
    back = [next(n for n in range(100) if home(f"u{n}") == partition) for partition in range(PARTITIONS)]
    world.send([event(f"u{number}", late, event_id=f"late-{number}") for number in back])
    sweep(world)
    here = {f"u{number}" for number in (*range(100, 300), *back)}
    assert set(world.states()) == here
    assert world.holds("u42") == [] and 42 not in back
    assert {key for key, value in world.last(TOPICS.interests).items() if value is not None} == {
        user.encode() for user in here
    }
    world.restart(wipe=True)
    assert set(world.states()) == here


def test_nobody_leaves_while_events_of_the_past_come() -> None:
    world = World(settings=Settings(interests=InterestsSettings(expire_days=2)))
    world.send([event("ann", 0)])
    world.driver.advance(400 * DAY)
    sweep(world)
    assert set(world.states()) == {"ann"}


def test_who_comes_in_the_batch_of_the_sweep_stays() -> None:
    world = World(settings=Settings(interests=InterestsSettings(expire_days=2)))
    busy = next(f"u{number}" for number in range(100) if home(f"u{number}") == home("ann"))
    world.send([event("ann", 0), event(busy, 3 * DAY // MINUTE)])
    world.driver.clock_ms += 5_000
    world.send([event("ann", 3 * DAY // MINUTE)])
    sweep(world)
    assert FUSION.read([world.states()["ann"]]).event_count.tolist() == [2]


def test_users_stay_for_ever_where_nothing_is_set() -> None:
    world = World()
    world.send([event("ann", 0), event("ann", 4_000_000), event("bob", 0)])
    sweep(world)
    assert set(world.states()) == {"ann", "bob"}


def sweep(world: World) -> None:
    """Twice through the stores: the first time tells how late it is."""
    for _ in range(2):
        world.driver.advance(PAUSE_MS)
        for _ in range(8):
            world.driver.advance(STEP_MS)
