"""Which texts share a batch: all of them once, alike in length, within the cost."""

from hypothesis import given
from hypothesis import strategies as st

from encoders.text.rows import rows_by_cost


@given(st.lists(st.integers(1, 300), max_size=80), st.integers(1, 600), st.integers(1, 40))
def test_every_row_once_in_batches_that_are_no_larger_than_allowed(
    lengths: list[int], most_tokens: int, most_rows: int
) -> None:
    batches = list(rows_by_cost(lengths, most_tokens, most_rows))
    assert sorted(row for batch in batches for row in batch) == list(range(len(lengths)))
    for batch in batches:
        assert 1 <= len(batch) <= most_rows
        assert len(batch) == 1 or len(batch) * max(lengths[row] for row in batch) <= most_tokens


def test_texts_of_like_length_are_together() -> None:
    assert list(rows_by_cost([9, 2, 8, 1], 18)) == [[3, 1], [2, 0]]
