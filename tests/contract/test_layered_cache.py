"""Vectors that were encoded in bulk: many read them, whoever fills the folder, and they stop nobody."""

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from encoders.layered_cache import BulkVectors, LayeredCache, mark
from encoders.vector_cache import StoredVectors, VectorCache

MEGABYTE = 1024 * 1024


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "bulk"


@pytest.fixture
def filler(folder: Path) -> Iterator[VectorCache]:
    cache = VectorCache(folder, 16 * MEGABYTE)
    yield cache
    cache.close()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def bulk(folder: Path, clock: Clock) -> Iterator[BulkVectors]:
    bulk = BulkVectors(folder, clock)
    yield bulk
    bulk.close()


def test_no_folder_holds_nothing_and_is_not_made(folder: Path, bulk: BulkVectors) -> None:
    assert bulk.get_many([b"a", b"b"]) == [None, None]
    assert not folder.exists()


def test_what_was_marked_is_read_while_it_is_filled(
    folder: Path, filler: VectorCache, bulk: BulkVectors, clock: Clock
) -> None:
    filler.put_many({b"a": b"1"})
    assert bulk.get_many([b"a"]) == [None]
    mark(folder)
    clock.now += 2
    assert bulk.get_many([b"a", b"b"]) == [b"1", None]
    filler.put_many({b"b": b"2"})
    clock.now += 2
    assert bulk.get_many([b"b"]) == [None]
    mark(folder)
    clock.now += 2
    assert bulk.get_many([b"b"]) == [b"2"]


def test_many_read_at_once(folder: Path, filler: VectorCache) -> None:
    filler.put_many({b"a": b"1"})
    mark(folder)
    readers = [BulkVectors(folder) for _ in range(3)]
    assert [reader.get_many([b"a"]) for reader in readers] == [[b"1"]] * 3
    filler.close()
    assert [reader.get_many([b"a"]) for reader in readers] == [[b"1"]] * 3
    for reader in readers:
        reader.close()
        reader.close()
        assert reader.get_many([b"a"]) == [None]


def test_what_cannot_be_read_is_told_once_and_tried_again(
    folder: Path, bulk: BulkVectors, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    folder.mkdir()
    (folder / "CURRENT").write_bytes(b"broken")
    mark(folder)
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            assert bulk.get_many([b"a"]) == [None]
            clock.now += 2
    assert caplog.text.count("cannot be read yet") == 1
    assert (folder / "CURRENT").read_bytes() == b"broken"
    (folder / "CURRENT").unlink()
    filler = VectorCache(folder, MEGABYTE)
    filler.put_many({b"a": b"1"})
    filler.close()
    assert bulk.get_many([b"a"]) == [b"1"]


def test_a_read_that_fails_leaves_the_worker_without_the_bulk(
    folder: Path, filler: VectorCache, bulk: BulkVectors, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(self: StoredVectors, keys: list[bytes]) -> list[bytes | None]:
        raise OSError("input/output error")

    filler.put_many({b"a": b"1"})
    mark(folder)
    monkeypatch.setattr(StoredVectors, "get_many", fail)
    assert bulk.get_many([b"a"]) == [None]
    assert bulk.get_many([b"a"]) == [None]


def test_the_own_cache_comes_first_and_is_the_only_one_written(
    tmp_path: Path, folder: Path, filler: VectorCache, bulk: BulkVectors
) -> None:
    filler.put_many({b"both": b"bulk", b"bulk": b"1"})
    mark(folder)
    own = VectorCache(tmp_path / "own", 16 * MEGABYTE)
    cache = LayeredCache(own, bulk)
    cache.put_many({b"both": b"own", b"own": b"2"})
    assert cache.get_many([b"none", b"own", b"both", b"bulk"]) == [None, b"2", b"own", b"1"]
    assert filler.get_many([b"own"]) == [None]
    assert own.get_many([b"bulk"]) == [None]
    assert cache.get_many([]) == []
    cache.close()
    assert cache.get_many([b"own", b"bulk"]) == [None, None]
