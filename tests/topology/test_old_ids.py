"""Users who became part of another: forgetting them, circles of merges, and what is remembered how long.

On the real engine, without a broker.
"""

import itertools
import random
from collections.abc import Iterable

import msgspec
import pytest

from state.events import Command, Row, RowKind
from streams.interests import aliases as old_ids
from streams.interests.aliases import KIND_ALIASES, MARGIN_MS, aliases_of
from streams.settings import InterestsSettings, Settings
from streams.testing import START_MS
from tests.identity_world import DAY, FUSION, TOPICS, World, alone, event, forget, home, merge
from tests.tastes import MINUTE, START

THREE = (merge("alf", "bea", 3), merge("bea", "cyd", 4), merge("cyd", "alf", 5))


def counts(world: World) -> dict[str, int]:
    return {user: int(FUSION.read([state]).event_count[0]) for user, state in world.states().items()}


def at_once(world: World, rows: Iterable[Row]) -> None:
    """All of them lie in the log before the first one is read."""
    for each in rows:
        number = home(each.user_id)
        world.driver._queues[number].append((len(world.driver._sources[number]), alone(each)))
        world.driver._sources[number].append(alone(each))
    world.driver.advance(0)


def kept_of(world: World, user: str) -> list[str]:
    value = world.driver.stored(home(user)).get(KIND_ALIASES + user.encode())
    return [each.user_id for each in aliases_of(value)]


@pytest.mark.parametrize("settled", [True, False])
def test_forgetting_an_old_id_forgets_the_person(settled: bool) -> None:
    world = World()
    rows = [event("visitor", 0), event("ann", 1), merge("visitor", "ann", 2, "m"), merge("phone", "ann", 3)]
    rows.append(forget("visitor", 5, "f"))
    if settled:
        world.send(rows)
    else:
        at_once(world, rows)
    assert world.states() == {}
    for user in ("visitor", "ann", "phone"):
        assert set(world.holds(user)) == {TOPICS.user_receipts}
    told = [each for each in world.receipts() if each.command == "forget"]
    assert [(each.user_id, each.found, each.into, each.refused) for each in told] == [
        ("visitor", True, "ann", None)
    ]
    world.send([event("visitor", 4), event("ann", 4), event("phone", 4)])
    assert world.states() == {}
    world.send([event("visitor", 6), event("ann", 7), event("phone", 8)])
    assert counts(world) == {"visitor": 1, "ann": 1, "phone": 1}


def test_forgetting_goes_all_the_way() -> None:
    world = World()
    world.send([event("phone", 0), event("tablet", 1), event("ann", 2), event("bob", 3)])
    world.send([merge("phone", "tablet", 3), merge("tablet", "ann", 4)])
    world.send([forget("phone", 5, "f")])
    assert counts(world) == {"bob": 1}
    for user in ("phone", "tablet", "ann"):
        assert set(world.holds(user)) == {TOPICS.user_receipts}
    (told,) = (each for each in world.receipts() if each.command_id == "f")
    assert (told.user_id, told.found, told.into) == ("phone", True, "ann")
    world.send([forget("phone", 5, "f-again"), forget("ann", 4)])
    assert [each.found for each in world.receipts()][-2:] == [False, False]


def test_a_receipt_says_what_was_refused_and_why() -> None:
    world = World()
    world.send([event("visitor", 2), event("ann", 3), merge("visitor", "ann", 4)])
    for each in (forget("visitor", 1), merge("visitor", "bob", 3), forget("eve", 9), merge("eve", "bob", 8)):
        world.send([each])
    for each in (event("phone", 0), forget("cid", 9), merge("phone", "cid", 8)):
        world.send([each])
    assert [(each.user_id, each.found, each.into, each.refused) for each in world.receipts()] == [
        ("visitor", True, "ann", None),
        ("visitor", False, "ann", "merged_later"),
        ("visitor", False, "bob", "merged_later"),
        ("eve", False, None, None),
        ("eve", False, "bob", "forgotten_later"),
        ("cid", False, None, None),
        ("phone", False, "cid", "into_forgotten_later"),
    ]
    assert counts(world) == {"ann": 2}


@pytest.mark.parametrize("settled", [True, False])
@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_a_circle_of_merges_ends_at_the_user_of_the_latest(order: tuple[int, ...], settled: bool) -> None:
    """In whichever order the commands come."""
    world = World()
    world.send([event("alf", 0), event("bea", 1), event("cyd", 2)])
    rows = [THREE[place] for place in order]
    if settled:
        for each in rows:
            world.send([each])
    else:
        at_once(world, [*rows, event("bea", 6)])
    world.send([event("alf", 7), event("cyd", 8)])
    assert counts(world) == {"alf": 5 + (not settled)}
    world.send([forget("alf", 9), event("bea", 5), event("cyd", 4)])
    assert world.states() == {}
    assert all(set(world.holds(user)) == {TOPICS.user_receipts} for user in ("alf", "bea", "cyd"))


def test_merges_of_one_time_and_one_command_id_that_cross_end_at_one_user() -> None:
    world = World()
    world.send([event("visitor", 0), event("ann", 1)])
    at_once(world, [merge("visitor", "ann", 2, "x"), merge("ann", "visitor", 2, "x")])
    world.send([event("visitor", 5), event("ann", 6)])
    assert list(counts(world).values()) == [4]


@pytest.mark.parametrize("seed", range(24))
def test_no_event_is_lost_or_doubled_whatever_is_merged_into_whom(seed: int) -> None:
    rng = random.Random(seed)
    users = [f"u{number}" for number in range(7)]
    world = World()
    rows = [event(rng.choice(users), number) for number in range(30)]
    times = rng.sample(range(40, 70), 14)
    for time in times:
        one, other = rng.sample(users, 2)
        rows.insert(rng.randrange(len(rows) + 1), merge(one, other, time))
    for start in range(0, len(rows), size := rng.choice([1, 5, 44])):
        at_once(world, rows[start : start + size])
    assert sum(counts(world).values()) == 30
    world.send([event(user, 80 + number) for number, user in enumerate(users)])
    assert sum(counts(world).values()) == 37
    roots = set(world.states())
    assert all(world.mark(user) is None or world.mark(user).into is None for user in roots)


def test_forgetting_reaches_any_number_of_old_ids_and_sends_little() -> None:
    world = World()
    world.send([merge(f"v{number:04d}" + "x" * 500, "ann", number + 2) for number in range(300)])
    before = len(world.driver.log.outputs)
    world.send([forget("ann", 900)])
    sent = world.driver.log.outputs[before:]
    assert sum(len(each.value or b"") for each in sent) < 1_000 * 300
    assert set(world.holds("ann")) == {TOPICS.user_receipts}


def test_who_is_silent_longest_is_followed_no_more_where_there_are_too_many(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(old_ids, "MAX_ALIAS_BYTES", 4 * (len("phone-0") + 32))
    world = World()
    for number in range(6):
        world.send([event(f"phone-{number}", number), merge(f"phone-{number}", "ann", 10 + number)])
        world.driver.advance(1_000)
    assert sorted(kept_of(world, "ann")) == [f"phone-{number}" for number in range(2, 6)]
    assert [each.lapsed for each in world.receipts()] == [[], [], [], [], ["phone-0"], ["phone-1"]]
    assert counts(world) == {"ann": 6}
    world.send([event("phone-0", 20), event("phone-3", 21)])
    assert counts(world) == {"ann": 7, "phone-0": 1}
    world.send([forget("ann", 30)])
    assert set(world.holds("ann")) == {TOPICS.user_receipts}


def test_a_row_does_not_grow_on_its_way() -> None:
    """And the largest fits a record: ids of 507 signs of four bytes each, the most that there may be."""
    world, wide = World(), "\U0001f600" * 507
    chain = [f"c{number:04d}" + wide for number in range(30)]
    world.send(
        [merge(one, other, number + 1) for number, (one, other) in enumerate(itertools.pairwise(chain))]
    )
    before = len(world.driver.log.outputs)
    world.send([event(chain[0], 50)])
    sent = [each for each in world.driver.log.outputs[before:] if each.topic == TOPICS.interactions_encoded]
    assert len({len(each.value or b"") for each in sent}) == 1 and len(sent) == 29
    world.send([merge(f"z{number:04d}" + wide, "zoe", 1_000 + number) for number in range(256)])
    world.send([event("zoe", 1_300), merge("zoe", chain[0], 2_000)])
    assert max(len(each.value or b"") for each in world.driver.log.outputs) < 900_000
    assert counts(world) == {chain[-1]: 2}


def test_nothing_is_left_of_a_merge_of_nobody_into_nobody() -> None:
    world = World(settings=Settings(interests=InterestsSettings(mark_days=2)))
    world.send([merge("visitor", "ann", 4)])
    assert kept_of(world, "ann") == ["visitor"]
    world.driver.advance(2 * DAY)
    assert world.mark("visitor") is None and kept_of(world, "ann") == ["visitor"]
    world.restart(wipe=True)
    world.driver.advance(MARGIN_MS)
    assert set(world.holds("visitor")) == set(world.holds("ann")) == {TOPICS.user_receipts}


def test_an_old_id_is_known_for_as_long_as_its_events_come() -> None:
    """Through another one, too: forgetting reaches every mark that still leads to the user."""
    world = World(settings=Settings(interests=InterestsSettings(mark_days=4)))
    world.send([event("phone", 0), merge("phone", "tablet", 1), merge("tablet", "ann", 2)])
    for number in range(4):
        world.driver.advance(3 * DAY)
        world.send([event("phone", 10 + number)])
    assert set(kept_of(world, "ann")) == {"phone", "tablet"}
    assert counts(world) == {"ann": 5}
    assert [each.user_id for each in world.receipts()] == ["phone", "tablet"]
    world.send([forget("ann", 20)])
    assert set(world.holds("ann")) == {TOPICS.user_receipts}
    world.send([event("phone", 30)])
    assert counts(world) == {"phone": 1}


def test_old_ids_as_an_older_build_kept_them_are_read() -> None:
    world = World()
    world.send([event("ann", 0), merge("phone", "ann", 1), merge("tablet", "ann", 2)])
    key, store = KIND_ALIASES + b"ann", world.driver._stores[home("ann")]
    store.write({key: msgspec.msgpack.encode(["phone", "tablet"])})
    world.restart()
    assert {each.until for each in aliases_of(store.get(key))} == {START_MS + 90 * DAY + MARGIN_MS}
    world.send([forget("ann", 9)])
    assert set(world.holds("ann")) == {TOPICS.user_receipts}
    assert world.mark("phone") == world.mark("tablet") != None  # noqa: E711


def test_a_state_that_an_older_build_sent_off_arrives() -> None:
    world = World()
    state = FUSION.fold([None], [[event("phone", 0)]]).states[0]
    carried = Command(app="penchant", path=("phone",), aliases=("tablet",), fusion=state)
    row = merge("phone", "ann", 3, "c-1")
    world.send([msgspec.structs.replace(row, user_id="ann", kind=int(RowKind.ARRIVE), command=carried)])
    assert counts(world) == {"ann": 1} and set(kept_of(world, "ann")) == {"phone", "tablet"}


@pytest.mark.parametrize("kind", [RowKind.AMEND, RowKind.RETRACT])
def test_a_correction_of_nothing_makes_no_user(kind: RowKind) -> None:
    """As after an expiry, or once a mark has ended."""
    world = World()
    world.send([event("ann", 3, kind=int(kind), sequence=1)])
    assert world.states() == {} and world.last(TOPICS.interests) == {}
    world.send([event("ann", 4)])
    assert counts(world) == {"ann": 1}


def test_what_was_sent_again_is_as_old_as_when_it_came_first() -> None:
    world = World()
    late = event("ann", 60, broker_time=START + 120 * MINUTE, sent=START)
    world.send([event("ann", 0), forget("ann", 10), late])
    assert world.states() == {}
