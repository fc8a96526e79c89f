"""Native vectors of one medium as they lie in the vector cache: before alignment, so that a new alignment
needs no encoding. Half precision: its rounding (1/2048) is far below what neighbours differ by."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import msgspec
import numpy as np

from encoders.base import Float32, Modality
from encoders.describe.description import Described
from encoders.entries import Entries
from encoders.errors import MediumError
from encoders.image.classes import ClassShares


class NativeVector(msgspec.Struct, frozen=True, array_like=True):
    """One vector, float16 bytes; likeliest classes (uint16) and their shares (float16) where it has any."""

    vector: bytes
    class_ids: bytes = b""
    class_shares: bytes = b""


class NativeMedium(msgspec.Struct, frozen=True, array_like=True):
    """What encoding one medium gave, by modality, and what it was put into words as."""

    vectors: dict[Modality, NativeVector]
    descriptions: Described = ()


class Made(NamedTuple):
    """What the encoders made of one medium, and by modality what they failed on."""

    native: NativeMedium
    failed: Mapping[Modality, MediumError]
    is_whole: bool
    """Whether every encoder and describer did its part; what is not whole goes to no disk."""


class NativeBatch(NamedTuple):
    """Vectors of one modality, float32 [n, d], with classes where the modality has them."""

    vectors: Float32
    classes: ClassShares | None = None


MEDIA = Entries(NativeMedium)
"""How they lie in the vector cache."""


def split(batch: NativeBatch) -> list[NativeVector | MediumError]:
    """A record of each row, or "encoder_failed" for numbers that are not finite in half precision."""
    with np.errstate(over="ignore"):
        rows = batch.vectors.astype(np.float16)
    usable = np.asarray(np.isfinite(rows).all(axis=1))
    if batch.classes is None:
        records = [NativeVector(row.tobytes()) for row in rows]
    else:
        ids, shares = batch.classes.ids.astype(np.uint16), batch.classes.shares.astype(np.float16)
        usable &= np.isfinite(shares).all(axis=1)
        records = [
            NativeVector(row.tobytes(), one.tobytes(), share.tobytes())
            for row, one, share in zip(rows, ids, shares, strict=True)
        ]
    failed = MediumError("encoder_failed", "the encoder gave numbers that are not finite")
    return [record if good else failed for record, good in zip(records, usable.tolist(), strict=True)]


def join(records: Sequence[NativeVector]) -> NativeBatch:
    """The reverse of `split`, at the cache's precision. At least one record."""
    rows = np.frombuffer(b"".join(record.vector for record in records), np.float16)
    return NativeBatch(rows.reshape(len(records), -1).astype(np.float32), classes_of(records))


def classes_of(records: Sequence[NativeVector]) -> ClassShares | None:
    """The likeliest classes of each, where they have any. At least one record."""
    if not records[0].class_ids:
        return None
    ids = np.frombuffer(b"".join(record.class_ids for record in records), np.uint16)
    shares = np.frombuffer(b"".join(record.class_shares for record in records), np.float16)
    shape = (len(records), -1)
    return ClassShares(ids.reshape(shape).astype(np.int64), shares.reshape(shape).astype(np.float32))
