"""Records to bytes and back, a whole batch at a time."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from state.errors import CodecError
from state.layout import FORMAT, MAGIC, NEVER, RECORD, RECORD_BYTES
from state.versions import Versions

Records = NDArray[np.void]
"""Structured array of `layout.RECORD`."""

HEADER = MAGIC + FORMAT.to_bytes(2, "little")
"""First bytes of every record of this format."""


_MODEL = slice(4, 8)
_CHANGES = slice(8, 16)
"""Where `layout.RECORD` has fingerprint and version: in every format so far."""


def empty(count: int, model: int) -> Records:
    """`count` records of users of whom nothing is known, for the artifact with fingerprint `model`."""
    records = np.zeros(count, RECORD)
    records["magic"] = MAGIC
    records["format"] = FORMAT
    records["model"] = model
    for name in ("sum_time", "dislike_time"):
        records[name] = NEVER
    for name in ("mass", "dislike_mass"):
        records[name] = -np.inf
    records["ring"]["time"] = NEVER
    return records


def decode(states: Sequence[bytes | None], model: int) -> Records:
    """Stored bytes to writable records; None gives an empty one. Older formats are brought to this one.

    Raises CodecError for bytes of another kind, of an unknown format or of a wrong length, and for the
    state of another artifact: the sums of two artifacts do not mix.
    """
    held = [state for state in states if state is not None]
    if not all(state.startswith(HEADER) for state in held):
        held = VERSIONS.upgrade(held)
    for state in held:
        if len(state) != RECORD_BYTES:
            raise CodecError(f"fusion record of {len(state)} bytes, yet version {FORMAT} has {RECORD_BYTES}")
    stored = np.frombuffer(bytearray().join(held), RECORD)
    strangers = stored["model"] != model
    if strangers.any():
        raise CodecError(
            f"state of artifact {int(stored['model'][strangers][0]):08x} met artifact {model:08x}: "
            "promote that one (`penchant models promote`), or replay the events into a fresh state"
        )
    if len(held) == len(states):
        return stored
    records = empty(len(states), model)
    records[[index for index, state in enumerate(states) if state is not None]] = stored
    return records


def encode(records: Records) -> list[bytes]:
    """One `bytes` of RECORD_BYTES per record."""
    joined = records.tobytes()
    return [joined[at : at + RECORD_BYTES] for at in range(0, len(joined), RECORD_BYTES)]


def model_of(state: bytes) -> int:
    """Fingerprint of the artifact that a stored record is of. Raises CodecError for bytes of another kind."""
    _version_of(state)
    return int.from_bytes(state[_MODEL], "little")


def version_of(state: bytes) -> int:
    """How many changes a stored record has seen (`layout.RECORD`). Raises CodecError."""
    _version_of(state)
    return int.from_bytes(state[_CHANGES], "little", signed=True)


def _version_of(state: bytes) -> int:
    if len(state) < len(HEADER) or not state.startswith(MAGIC):
        raise CodecError(f"not a fusion record: begins with {state[:4]!r}")
    return int.from_bytes(state[2:4], "little")


VERSIONS = Versions("fusion record", FORMAT, _version_of)
