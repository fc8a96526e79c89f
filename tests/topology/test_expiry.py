"""Users who do not come any more, on the real engine, without a broker."""

from pathlib import Path

from state.rocks import RocksStore
from streams.interests.expiry import PAUSE_MS, STEP_MS
from streams.settings import InterestsSettings, Settings
from tests.identity_world import DAY, FUSION, PARTITIONS, TOPICS, World, event, forget, home, merge
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


def test_who_comes_back_while_the_sweep_has_read_ahead_stays(tmp_path: Path) -> None:
    """On the real store: a scan of it reads a thousand users at once, of which a step takes some."""
    world = World(settings=Settings(interests=InterestsSettings(expire_days=2)))
    number, late = home("ann"), 3 * DAY // MINUTE
    world.driver._stores[number].close()
    world.driver._stores[number] = RocksStore(tmp_path / "store")
    world.restart()
    others = [user for user in (f"u{n}" for n in range(3000)) if home(user) == number][:130]
    old = next(user for user in (f"z{n}" for n in range(100)) if home(user) == number)
    world.send([event(old, 0)])
    world.send([event(user, late, event_id=f"e-{user}") for user in others])
    world.driver.advance(STEP_MS)
    world.send([event(old, late + 1, event_id="back")])
    for _ in range(5):
        world.driver.advance(STEP_MS)
    assert FUSION.read([world.states()[old]]).event_count.tolist() == [2]


def test_forgetting_reaches_the_old_ids_of_who_has_left() -> None:
    world = World(settings=Settings(interests=InterestsSettings(expire_days=2)))
    late = 3 * DAY // MINUTE
    busy = next(f"u{n}" for n in range(100) if home(f"u{n}") == home("ann"))
    world.send([event("visitor", 0), event("ann", 1), merge("visitor", "ann", 2), event(busy, late)])
    sweep(world)
    assert "ann" not in world.states()
    world.send([event("ann", late + 1), forget("ann", late + 5), event("visitor", late + 9)])
    assert set(world.holds("ann")) == {TOPICS.user_receipts}
    assert set(world.states()) == {"visitor", busy}


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
