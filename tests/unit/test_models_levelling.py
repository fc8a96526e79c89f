"""What a new model takes over of the one before: versions that are higher, slates that wait."""

from state.codec import version_of
from state.merging import raised
from state.prior import content_prior
from state.store import MemoryStore
from streams.engine.processor import KIND_HELD
from streams.interests.processor import KIND_FUSION
from streams.models.levelling import Versions, _compare, strays
from streams.models.turning import _held_instead
from streams.partitioning import partition_of

PRIOR = content_prior()


def state(version: int) -> bytes:
    return raised(PRIOR, None, version)


def users(**versions: int) -> dict[bytes, bytes | None]:
    return {KIND_FUSION + name.encode(): state(version) for name, version in versions.items()}


def test_versions_are_raised_where_they_are_lower_and_nowhere_else() -> None:
    store = MemoryStore()
    store.write(users(low=3, same=5, high=9))
    ahead: dict[bytes, int] = {}
    _compare(users(low=7, same=5, high=2, gone=4, new=6), store, ahead)
    _compare({KIND_FUSION + b"gone": None}, store, ahead)
    assert ahead == {KIND_FUSION + b"low": 7, KIND_FUSION + b"new": 6}
    (changes,) = Versions(0, ahead, 0).raises(store, PRIOR)
    store.write(changes)
    found = {key[1:]: version_of(value) for key, value in store.scan(KIND_FUSION)}
    assert found == {b"low": 7, b"same": 5, b"high": 9, b"new": 6}
    assert not list(Versions(0, ahead, 0).raises(store, PRIOR))


def test_users_where_murmur2_does_not_put_them_are_counted() -> None:
    store, names = MemoryStore(), [f"user-{number}" for number in range(40)]
    store.write({KIND_FUSION + name.encode(): state(1) for name in names})
    away = sum(partition_of(name.encode(), 2) != 0 for name in names)
    assert 0 < away < 40
    assert strays(store, 0, 2) == (away, 40)
    assert strays(store, 0, 1) == (0, 40)


def test_slates_that_wait_are_those_of_the_model_before() -> None:
    store, former = MemoryStore(), MemoryStore()
    store.write({KIND_HELD + b"old": b"1", KIND_HELD + b"both": b"2", KIND_FUSION + b"old": b"3"})
    former.write({KIND_HELD + b"both": b"4", KIND_HELD + b"new": b"5", KIND_FUSION + b"new": b"6"})
    assert _held_instead(store, former) == {
        KIND_HELD + b"old": None,
        KIND_HELD + b"both": b"4",
        KIND_HELD + b"new": b"5",
    }
