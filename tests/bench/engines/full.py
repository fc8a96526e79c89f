"""The full work: the whole interest update of the product, as plain functions over stored values and rows.

Peers call the product's own processor, which is pure: rows and stored values in, writes and outputs out.
"""

import numpy as np

from encoders.base import SHARED_DIM
from state.artifact import load_artifact
from state.catalogue import Catalogue
from state.events import Row
from state.fusion import Fusion
from state.items import EncodedItem
from streams.engine.processor import Effects, Work
from streams.interests.processor import InterestsProcessor
from streams.settings import Settings
from tests.bench.engines.small import ITEMS

TOP_K = 20
_KINDS = 40
_CODES = (0, 1)
"""Every item has a text and a picture."""


def catalogue_items() -> list[EncodedItem]:
    """2,000 items of 40 kinds, whose vectors lie around their kind's."""
    random = np.random.default_rng(11)
    kinds = random.standard_normal((len(_CODES), _KINDS, SHARED_DIM))
    own = random.standard_normal((ITEMS, len(_CODES), SHARED_DIM))
    found = []
    for number in range(ITEMS):
        kind = number % _KINDS
        vectors = kinds[:, kind] + own[number]
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        found.append(
            EncodedItem(
                item_name(number),
                partition=0,
                offset=number,
                vectors={code: vectors[code].astype("<f2").tobytes() for code in _CODES},
                title=f"thing {number}",
                tags=(f"tag-{kind}", f"shade-{number % 7}"),
                categories=(f"category-{kind % 8}",),
            )
        )
    return found


def item_name(number: int) -> str:
    return f"i{number:06d}"


def processor(settings: Settings) -> InterestsProcessor:
    """The product's processor, with the catalogue loaded."""
    fusion = Fusion(load_artifact(settings.model.artifact))
    catalogue = Catalogue(fusion)
    catalogue.apply([(item.item_id, item) for item in catalogue_items()])
    return InterestsProcessor(fusion, catalogue, settings)


class Update:
    """One call of the processor outside the engine, as a peer would make it."""

    def __init__(self, settings: Settings) -> None:
        self._processor = processor(settings)

    def keys(self, rows: list[Row]) -> list[bytes]:
        """Keys of the stored values that the rows need."""
        return list(dict.fromkeys(self._processor.keys(Work(rows))))

    def apply(self, rows: list[Row], stored: dict[bytes, bytes | None], clock_ms: int) -> Effects:
        work = Work(rows, [], rows[-1].offset + 1)
        return self._processor.apply({0: work}, {0: stored}, clock_ms)[0]
