import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from state.ranking import BARRED, Ties, best

values = arrays.arrays(
    np.float32,
    arrays.array_shapes(min_dims=2, max_dims=2, max_side=12),
    elements=st.sampled_from([-np.inf, -1.0, 0.0, 0.5, 1.0, 2.0]),
)


@given(values, st.integers(1, 14), st.integers(0, 1000))
def test_the_best_are_exactly_those_of_a_full_sort(table: np.ndarray, count: int, seed: int) -> None:
    ties = np.random.default_rng(seed).permutation(table.shape[1]).astype(np.uint64) << np.uint64(50)
    found = best(table, count, Ties(ties))
    for row, columns in zip(table, found.tolist(), strict=True):
        order = sorted(range(len(row)), key=lambda column: (-row[column], ties[column]))[:count]
        allowed = [column for column in order if row[column] > BARRED]
        assert [column for column in columns if row[column] > BARRED] == allowed
        assert len(columns) == len(set(columns)) == min(count, len(row))


def test_what_differs_by_rounding_alone_is_ordered_by_its_hash() -> None:
    hashes = np.array([3, 1, 2], dtype=np.uint64) << np.uint64(40)
    ties = Ties(hashes)
    values = np.array([[0.5, np.nextafter(np.float32(0.5), 0), np.nextafter(np.float32(0.5), 1)]], np.float32)
    assert best(values, 3, ties).tolist() == [[1, 2, 0]]
    assert best(values, 1, ties).tolist() == [[1]]
    assert best(values + np.array([[1e-4, 0, 0]], np.float32), 1, ties).tolist() == [[0]]
