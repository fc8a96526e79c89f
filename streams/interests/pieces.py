"""Text put together from pieces that were written before."""

import itertools
from collections.abc import Sequence


def joined(pieces: Sequence[bytes], counts: Sequence[int]) -> list[bytes]:
    """So many pieces one after the other, for each of the counts."""
    ends = itertools.accumulate(counts, initial=0)
    return [b"".join(pieces[start:end]) for start, end in itertools.pairwise(ends)]
