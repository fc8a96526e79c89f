import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from state.ranking import BARRED, best, in_order

values = arrays.arrays(
    np.float32,
    arrays.array_shapes(min_dims=2, max_dims=2, max_side=12),
    elements=st.sampled_from([-np.inf, -1.0, 0.0, 0.5, 1.0, 2.0]),
)


@given(values, st.integers(1, 14), st.integers(0, 1000))
def test_the_best_are_exactly_those_of_a_full_sort(table: np.ndarray, count: int, seed: int) -> None:
    ties = np.random.default_rng(seed).permutation(table.shape[1]).astype(np.uint64)
    found = in_order(table, best(table, count, ties), ties)
    for row, columns in zip(table, found.tolist(), strict=True):
        order = sorted(range(len(row)), key=lambda column: (-row[column], ties[column]))[:count]
        allowed = [column for column in order if row[column] > BARRED]
        assert [column for column in columns if row[column] > BARRED] == allowed
        assert len(columns) == len(set(columns)) == min(count, len(row))
