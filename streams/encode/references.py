"""Media references of a record: what has to be encoded, and which items' vectors are meant."""

from collections.abc import Sequence

import msgspec

from encoders.base import Modality
from streams.encode.media import Wanted
from streams.encode.vectors import MODALITY_CODES
from streams.records import MediaReference

MAX_MEDIA = 32
"""References of one record beyond these are masked: one record must not occupy the worker."""

BROKEN = "broken"
TOO_LARGE = "too_large"


class ItemReference(msgspec.Struct, frozen=True):
    """Vectors of an item: all, or those of one modality (its wire code)."""

    item_id: str
    modality: int | None = None


class References(msgspec.Struct):
    """`masked` maps a modality's wire code to the reason why a reference to it was not followed."""

    wanted: list[Wanted] = []
    items: list[ItemReference] = []
    masked: dict[int, str] = {}


def read_references(media: Sequence[MediaReference]) -> References:
    """Sort the references of a record by where their vectors come from."""
    found = References()
    for index, reference in enumerate(media):
        modality = None if reference.modality is None else Modality(reference.modality)
        if (reference.uri, reference.text, reference.item_id).count(None) != 2:
            _mask(found, modality, BROKEN)
        elif index >= MAX_MEDIA:
            _mask(found, modality, TOO_LARGE)
        elif reference.item_id is not None:
            code = None if modality is None else MODALITY_CODES[modality]
            found.items.append(ItemReference(reference.item_id, code))
        elif reference.text is not None:
            found.wanted.append(Wanted(text=reference.text, modality=Modality.TEXT))
        else:
            sha256 = None if reference.sha256 is None else reference.sha256.lower()
            found.wanted.append(Wanted(uri=reference.uri, sha256=sha256, modality=modality))
    return found


def _mask(found: References, modality: Modality | None, reason: str) -> None:
    if modality is not None:
        found.masked[MODALITY_CODES[modality]] = reason
