"""Whether the numbers of an artifact bear being used: a few users are folded and read under it."""

import numpy as np

from state.artifact import Artifact
from state.errors import ModelError
from state.events import ACTIONS, Row
from state.fusion import Fusion
from state.layout import MODALITY_COUNT, RING, SHARED_DIM

_EVENTS = RING + 2 * len(ACTIONS)
"""More than the ring holds, so that some are in the heads alone."""
_SECOND = 1000


def check_finite(artifact: Artifact) -> None:
    """Raises ModelError where what the artifact makes of ordinary events is not finite.

    Numbers that are finite on their own may be too large to be multiplied; users would have no interest then.
    """
    fusion = Fusion(artifact)
    with np.errstate(all="ignore"):
        rows = _rows()
        states = fusion.fold([None], [rows[:-1]]).states
        states = fusion.fold(states, [rows[-1:]]).states
        told = fusion.read(states)
        items = fusion.item_vectors([row.vectors for row in rows])
        made = [told.interest, told.heads, told.modalities, told.dislike, items]
        if artifact.judges is not None:
            users = np.repeat(told.interest, len(items), 0)
            made += [artifact.judges.likes(users, items), artifact.judges.ratings(users, items)]
    if not all(np.isfinite(each).all() for each in made):
        raise ModelError("the weights are too large: what is made of them is not finite")


def _rows() -> list[Row]:
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(_EVENTS, MODALITY_COUNT, SHARED_DIM))
    vectors /= np.linalg.norm(vectors, axis=2, keepdims=True)
    return [
        Row(
            "user",
            f"event-{number}",
            number % len(ACTIONS),
            number * number * _SECOND,
            number,
            number * number * _SECOND,
            f"item-{number}",
            {code: vectors[number, code].astype("<f2").tobytes() for code in _told(number)},
            dwell_seconds=float(2 ** (number % 9)),
        )
        for number in range(_EVENTS)
    ]


def _told(number: int) -> range:
    """Each modality alone, and all of them."""
    alone = number % (MODALITY_COUNT + 1)
    return range(MODALITY_COUNT) if alone == MODALITY_COUNT else range(alone, alone + 1)
