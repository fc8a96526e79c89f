"""The index of vectors: what it finds of what looking at all finds, while items come, change and go."""

import threading

import numpy as np
import pytest
from numpy.typing import NDArray

from state.catalogue import Columns
from state.layout import DIM
from state.strategies.cells import Cells, probes_of
from state.strategies.nearest import NearestRows
from tests.bench.bench_index import clustered, spread

Float32 = NDArray[np.float32]

COUNT, WANTED = 4_000, 50
KINDS = {"spread": spread, "clustered": clustered}


def unit(vectors: Float32) -> Float32:
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), np.float32)


def between_two(items: Float32, users: int = 64) -> Float32:
    """What two items have in common, of different directions in most cases: where a graph loses its way."""
    rng = np.random.default_rng(9)
    return unit(items[rng.integers(len(items), size=users)] + items[rng.integers(len(items), size=users)])


def columns_of(items: Float32) -> Columns:
    made = Columns(len(items))
    made.vectors[:] = items
    made.hashes[:] = np.arange(1, len(items) + 1)
    return made


def recall(index: NearestRows, columns: Columns, asked: Float32, count: int = WANTED) -> float:
    there = np.flatnonzero((columns.hashes != 0) & columns.vectors.any(axis=1))
    true = there[np.argsort(-(asked @ columns.vectors[there].T), axis=1)[:, :count]]
    found = index.search(asked, count)
    shares = [np.isin(one, other).mean() for one, other in zip(true, found, strict=True)]
    return float(np.mean(shares))


def an_index(columns: Columns, probes: int = 0) -> NearestRows:
    index = NearestRows(100, probes)
    index.changed(columns, [], len(columns.hashes))
    assert index.ready
    return index


@pytest.fixture(scope="module", params=KINDS)
def items(request: pytest.FixtureRequest) -> Float32:
    vectors: Float32 = KINDS[request.param](COUNT, 3)[0]
    return vectors


def test_it_finds_what_looking_at_all_finds(items: Float32) -> None:
    columns = columns_of(items)
    index = an_index(columns)
    assert recall(index, columns, unit(items[:64] + 0.05)) > 0.97
    assert recall(index, columns, between_two(items)) > 0.95
    assert recall(index, columns, between_two(items), 5) > 0.97


def test_who_asks_for_many_has_more_looked_at(items: Float32) -> None:
    """However few cells were asked for."""
    columns = columns_of(items)
    index = an_index(columns, probes=1)
    assert recall(index, columns, between_two(items), 5) < 0.9 < recall(index, columns, between_two(items))


def test_more_probes_find_more_and_all_of_them_everything(items: Float32) -> None:
    columns, asked = columns_of(items), between_two(items)
    found = [recall(an_index(columns, probes), columns, asked) for probes in (16, 48, 10_000)]
    assert found[0] < found[1] < found[2] == 1.0


def test_items_that_come_change_and_go_are_found_or_not_as_they_are(items: Float32) -> None:
    """Through changes of a fifth, some of them to where nothing was: nothing is learned anew for it."""
    columns = columns_of(items)
    columns.hashes[3_700:], columns.vectors[3_700:] = 0, 0.0
    index = an_index(columns)
    before = recall(index, columns, between_two(items))
    rng = np.random.default_rng(4)
    gone, moved = np.split(rng.permutation(3_700)[:600], 2)
    come = np.arange(3_700, COUNT)
    columns.hashes[gone], columns.vectors[gone] = 0, 0.0
    columns.vectors[moved] = spread(300, 8)[0]
    columns.hashes[come], columns.vectors[come] = come + 1, items[come]
    index.changed(columns, [*gone.tolist(), *moved.tolist(), *come.tolist()], COUNT)
    assert len(index) == COUNT - len(gone)
    own = index.search(columns.vectors[[*moved[:100], *come[:100]]], 1)[:, 0]
    assert own.tolist() == [*moved[:100].tolist(), *come[:100].tolist()]
    everywhere = index.search(between_two(items), COUNT)
    assert not np.isin(gone, everywhere).any()
    assert all(len(np.unique(each[each >= 0])) == COUNT - len(gone) for each in everywhere)
    assert recall(index, columns, between_two(columns.vectors[columns.hashes != 0])) > before - 0.03


def test_items_that_all_come_to_one_place_are_found(items: Float32) -> None:
    """One cell outgrows its room again and again; then the cells are learned anew."""
    columns = columns_of(items)
    columns.hashes[1_000:], columns.vectors[1_000:] = 0, 0.0
    index = an_index(columns)
    crowd = unit(items[:1] + 0.1 * np.random.default_rng(5).standard_normal((2_000, DIM)).astype(np.float32))
    for start in range(1_000, 3_000, 100):
        rows = np.arange(start, start + 100)
        columns.hashes[rows], columns.vectors[rows] = rows + 1, crowd[rows - 1_000]
        index.changed(columns, rows.tolist(), COUNT)
        assert len(index) == start + 100
        assert recall(index, columns, crowd[rows[:8] - 1_000]) > 0.9
    assert recall(index, columns, between_two(columns.vectors[:3_000])) > 0.85


def test_items_of_a_new_kind_are_found_though_they_are_few(items: Float32) -> None:
    """Cells were learned without them; they come to an eighth, by number too few to learn anew for."""
    columns = columns_of(items)
    columns.vectors[3_500:] = spread(500, 8)[0]
    columns.hashes[3_500:] = 0
    index = an_index(columns)
    for start in range(3_500, COUNT, 50):
        rows = np.arange(start, start + 50)
        columns.hashes[rows] = rows + 1
        index.changed(columns, rows.tolist(), COUNT)
    assert recall(index, columns, between_two(columns.vectors[3_500:])) > 0.9


def test_what_one_user_is_brought_hangs_on_nobody_else(
    items: Float32, monkeypatch: pytest.MonkeyPatch
) -> None:
    index, asked = an_index(columns_of(items)), between_two(items, 70)
    together = index.search(asked, WANTED)
    for user in (0, 3, 63, 64, 69):
        assert index.search(asked[user : user + 1], WANTED)[0].tolist() == together[user].tolist()
    monkeypatch.setattr("state.strategies.cells._VALUES", 10_000)
    assert index.search(asked, WANTED).tolist() == together.tolist()


def test_it_brings_as_many_as_are_asked_for_wherever_they_lie() -> None:
    """Most cells are empty: everything but ten items is alike."""
    vectors = np.tile(unit(np.ones((1, DIM), np.float32)), (500, 1))
    vectors[:10] = np.eye(DIM, dtype=np.float32)[:10]
    index = an_index(columns_of(vectors))
    found = index.search(vectors[:20], 300)
    assert (found >= 0).all()
    assert all(len(np.unique(each)) == 300 for each in found)
    assert found[:10, :].tolist() != found[10:, :].tolist()
    assert (index.search(vectors[:2], 600) == -1).sum(axis=1).tolist() == [100, 100]


def test_few_items_all_lie_in_reach() -> None:
    vectors = spread(3, 1)[0]
    cells = Cells(vectors, np.arange(3))
    assert probes_of(cells.number) >= cells.number
    assert sorted(cells.search(vectors[:1], 5, 1)[0].tolist()) == [-1, -1, 0, 1, 2]


def test_an_index_without_vectors_is_none() -> None:
    columns = Columns(200)
    columns.hashes[:] = 1
    index = NearestRows(100)
    index.changed(columns, [], 200)
    assert not index.ready
    assert (index.search(np.ones((2, DIM), np.float32), 5) == -1).all()


def test_a_reader_finds_items_while_the_writer_changes_others(items: Float32) -> None:
    """Rows 0 to 999 stay as they are; each is its own nearest at any moment."""
    columns = columns_of(items)
    index = an_index(columns)
    done, wrong = threading.Event(), []

    def read() -> None:
        while not done.is_set():
            found = index.search(items[:64], 1)[:, 0]
            if found.tolist() != list(range(64)):
                wrong.append(found)

    reader = threading.Thread(target=read)
    reader.start()
    rng = np.random.default_rng(6)
    try:
        for _ in range(6):
            rows = rng.choice(np.arange(1_000, COUNT), 200, replace=False)
            columns.vectors[rows] = spread(200, int(rng.integers(1_000)))[0]
            index.changed(columns, rows.tolist(), COUNT)
    finally:
        done.set()
        reader.join(30)
    assert not reader.is_alive()
    assert not wrong
