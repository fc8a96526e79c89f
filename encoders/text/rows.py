"""Which texts go through a model together."""

from collections.abc import Iterator, Sequence

MOST_ROWS = 256
CPU_TOKENS = 512
"""A CPU gains nothing from wider batches, and loses what their shorter texts are filled up with."""


def rows_by_cost(lengths: Sequence[int], most_tokens: int, most_rows: int = MOST_ROWS) -> Iterator[list[int]]:
    """Rows of texts of so many tokens each, in batches of like length, so that little is padding.

    A batch is no more than `most_tokens` once its texts are filled up to the longest, one text at least.
    """
    rows: list[int] = []
    for row in sorted(range(len(lengths)), key=lengths.__getitem__):
        if rows and (len(rows) == most_rows or (len(rows) + 1) * lengths[row] > most_tokens):
            yield rows
            rows = []
        rows.append(row)
    if rows:
        yield rows
