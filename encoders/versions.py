"""What a bank's vectors go by: equal versions, equal vectors; of unequal ones it tells the modalities."""

from collections.abc import Mapping

import xxhash

from encoders.base import MODALITIES, Modality

EVERY = frozenset(MODALITIES)


def bank_version(names: str, alignment: str, contexts: Mapping[Modality, str]) -> str:
    """Names for people, and digests: of the alignment, then of what decides each modality's vectors."""
    parts = (alignment, *(contexts[modality] for modality in MODALITIES))
    return f"{names}-{'.'.join(xxhash.xxh3_64_hexdigest(part.encode())[:10] for part in parts)}"


def differing(one: str, other: str) -> frozenset[Modality]:
    """Modalities whose vectors two banks may make otherwise: all of them where their alignments differ."""
    if one == other:
        return frozenset()
    parts, others = one.rpartition("-")[2].split("."), other.rpartition("-")[2].split(".")
    if not len(parts) == len(others) == 1 + len(MODALITIES) or parts[0] != others[0]:
        return EVERY
    return frozenset(each for row, each in enumerate(MODALITIES, 1) if parts[row] != others[row])
