"""Who owns which partition, and who keeps copies."""

from hypothesis import given, settings
from hypothesis import strategies as st

from streams.engine.placement import Claim, Rules, Share, place

FAR = 1_000_000
BIG = Rules(standbys=1, tolerance=1_000)


def claims_of(shares: dict[str, Share], epoch: int, end: int = FAR) -> dict[str, Claim]:
    """What the workers say next time, all of them level."""
    return {
        name: Claim(epoch, tuple(share.owned), dict.fromkeys([*share.owned, *share.standbys], end))
        for name, share in shares.items()
    }


def owners(shares: dict[str, Share]) -> dict[int, str]:
    return {number: name for name, share in shares.items() for number in share.owned}


def copies(shares: dict[str, Share]) -> dict[int, list[str]]:
    found: dict[int, list[str]] = {}
    for name, share in shares.items():
        for number in share.standbys:
            found.setdefault(number, []).append(name)
    return found


def test_a_fresh_group_shares_evenly_and_keeps_copies_elsewhere() -> None:
    shares = place(range(12), dict.fromkeys("abc", Claim()), BIG)
    assert [len(share.owned) for share in shares.values()] == [4, 4, 4]
    assert [len(share.standbys) for share in shares.values()] == [4, 4, 4]
    assert sorted(owners(shares)) == list(range(12))
    for number, names in copies(shares).items():
        assert len(names) == 1 and names != [owners(shares)[number]]


def test_the_copies_of_one_owner_are_spread() -> None:
    shares = place(range(12), dict.fromkeys("abcd", Claim()), BIG)
    for name, share in shares.items():
        heirs = {copies(shares)[number][0] for number in share.owned}
        assert heirs == set("abcd") - {name}


def test_a_single_worker_has_all_and_no_copies() -> None:
    assert place(range(3), {"a": Claim()}, BIG) == {"a": Share([0, 1, 2])}


def test_more_workers_than_partitions() -> None:
    shares = place(range(2), dict.fromkeys("abcde", Claim()), Rules(standbys=2))
    assert sorted(len(share.owned) for share in shares.values()) == [0, 0, 0, 1, 1]
    assert all(len(names) == 2 for names in copies(shares).values())


def test_an_assignment_that_fits_stays_as_it_is() -> None:
    before = place(range(10), dict.fromkeys("abc", Claim()), BIG)
    assert place(range(10), claims_of(before, 1), BIG) == before


def test_the_heirs_of_a_dead_worker_are_warm() -> None:
    before = place(range(12), dict.fromkeys("abcd", Claim()), BIG)
    claims = claims_of(before, 1)
    del claims["b"]
    after = place(range(12), claims, BIG)
    for number in before["b"].owned:
        assert owners(after)[number] == copies(before)[number][0]
    for name in "acd":
        assert set(before[name].owned) < set(after[name].owned)
        assert len(after[name].owned) == 4


def test_a_warm_worker_is_chosen_over_a_cold_one_with_less_to_do() -> None:
    claims = {
        "cold": Claim(3, (0,), {0: FAR}),
        "warm": Claim(3, (1, 2), {1: FAR, 2: FAR, 3: FAR - 10}),
    }
    after = place(range(4), claims, BIG)
    assert owners(after)[3] == "warm"
    # For the sake of balance the cold one is to have a partition, once it has caught up with it.
    (awaited,) = after["cold"].awaited
    assert awaited in after["cold"].standbys
    claims = claims_of(after, 4)
    after = place(range(4), claims, BIG)
    assert [len(share.owned) for share in after.values()] == [2, 2]
    assert owners(after)[awaited] == "cold"
    assert not after["cold"].awaited


def test_a_worker_that_joins_warms_up_before_it_takes_over() -> None:
    before = place(range(4), {"old": Claim()}, BIG)
    claims = claims_of(before, 1) | {"new": Claim()}
    joining = place(range(4), claims, BIG)
    assert joining["old"].owned == [0, 1, 2, 3]
    assert len(joining["new"].awaited) == 2
    assert set(joining["new"].awaited) <= set(joining["new"].standbys)
    after = place(range(4), claims_of(joining, 2), BIG)
    assert after["new"].owned == joining["new"].awaited
    assert after["new"].awaited == []


def test_little_state_moves_at_once() -> None:
    before = place(range(4), {"old": Claim()}, BIG)
    joining = place(range(4), claims_of(before, 1, end=900) | {"new": Claim()}, BIG)
    assert [len(share.owned) for share in joining.values()] == [2, 2]
    assert all(share.awaited == [] for share in joining.values())


def test_a_worker_that_comes_back_with_its_disk_gets_its_partitions_at_once() -> None:
    claims = {
        "here": Claim(5, (0, 1, 2, 3), dict.fromkeys(range(4), FAR)),
        "back": Claim(0, (), {1: FAR - 500, 3: FAR - 500}),
    }
    assert place(range(4), claims, BIG)["back"].owned == [1, 3]


def test_a_zombie_claims_in_vain() -> None:
    claims = {
        "zombie": Claim(4, (0, 1), {0: FAR - 20, 1: FAR - 20}),
        "owner": Claim(5, (0, 1), {0: FAR, 1: FAR}),
    }
    shares = place(range(3), claims, BIG)
    assert set(shares["owner"].owned) >= {0} or set(shares["owner"].owned) >= {1}
    assert len(shares["owner"].owned) == 2


def test_without_standbys_only_who_waits_for_a_partition_copies_it() -> None:
    rules = Rules(standbys=0, tolerance=1_000)
    claims = {"old": Claim(1, (0, 1), {0: FAR, 1: FAR}), "new": Claim()}
    shares = place(range(2), claims, rules)
    assert shares["new"].standbys == shares["new"].awaited != []
    assert shares["old"].standbys == []


def test_of_two_owners_with_too_much_the_one_gives_whose_partition_is_waited_for() -> None:
    """Else the worker that made itself level is told to wait for another one, and then for yet another."""
    claims = {
        "a": Claim(),
        "b": Claim(),
        "c": Claim(),
        "d": Claim(0, (3,), {0: 1_001, 1: 0, 2: 0, 3: 0, 4: 1_001}),
        "e": Claim(0, (1, 2, 4)),
    }
    first = place(range(6), claims, BIG)
    assert first["a"].awaited == [0]
    second = place(range(6), claims_of(first, 1), BIG)
    assert second["a"].owned == [0]
    assert not any(share.awaited for share in second.values())
    assert place(range(6), claims_of(second, 2), BIG) == second


NAMES = st.sampled_from(["a", "b", "c", "d", "e"])
CLAIM = st.builds(
    Claim,
    st.integers(0, 3),
    st.sets(st.integers(0, 8)).map(tuple),
    st.dictionaries(st.integers(0, 8), st.integers(0, 5_000)),
)


@settings(deadline=None)
@given(
    st.integers(0, 8),
    st.dictionaries(NAMES, CLAIM, min_size=1),
    st.builds(Rules, st.integers(0, 3), st.sampled_from([0, 1_000, 10**9])),
)
def test_each_partition_has_one_owner_and_its_copies(
    count: int, claims: dict[str, Claim], rules: Rules
) -> None:
    shares = place(range(count), claims, rules)
    owned = [number for share in shares.values() for number in share.owned]
    assert sorted(owned) == list(range(count))
    assert shares.keys() == claims.keys()
    wanted = min(rules.standbys, len(claims) - 1)
    for number, name in owners(shares).items():
        names = copies(shares).get(number, [])
        awaiting = [other for other in shares if number in shares[other].awaited]
        assert name not in names
        assert len(names) == len(set(names)) == max(wanted, len(awaiting))
        assert len(awaiting) <= 1 and set(awaiting) <= set(names)
    most = -(-count // len(claims))
    held_back = sum(len(share.awaited) for share in shares.values())
    assert all(len(share.owned) <= most for share in shares.values()) or held_back


@settings(deadline=None)
@given(st.integers(1, 8), st.dictionaries(NAMES, CLAIM, min_size=1))
def test_a_group_comes_to_rest_in_balance(count: int, claims: dict[str, Claim]) -> None:
    shares = place(range(count), claims, BIG)
    for epoch in range(4, 9):
        last, shares = shares, place(range(count), claims_of(shares, epoch), BIG)
    assert shares == last
    loads = [len(share.owned) for share in shares.values()]
    assert max(loads) - min(loads) <= 1
    assert not any(share.awaited for share in shares.values())
