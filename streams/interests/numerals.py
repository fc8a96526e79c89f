"""Vectors as JSON text, for a whole batch at once.

Writing numbers one by one is the dearest step of an output. Numbers of unit vectors, rounded to five
decimals, all fit the same nine bytes: a minus or a space (which JSON allows before a number), one
digit, the point, five digits, a comma. So a table of all magnitudes makes an array of text.
"""

import numpy as np
from numpy.typing import NDArray

DECIMALS = 5
_ONE = 10**DECIMALS
_NUMERAL = np.dtype([("sign", "u1"), ("digits", "<u8")])
_DIGITS = np.frombuffer(
    b"".join(b"%d.%05d," % divmod(magnitude, _ONE) for magnitude in range(_ONE + 1)), dtype="<u8"
)
_MINUS, _SPACE = b"- "


def unit_vectors(vectors: NDArray[np.float32]) -> list[bytes]:
    """JSON arrays of vectors [..., d] whose numbers lie within -1 and 1, in order of memory.

    A number beyond is cut to the bound.
    """
    scaled = np.rint(np.fmin(np.fmax(vectors, -1), 1) * np.float32(_ONE)).astype(np.int32)
    text = np.empty(scaled.shape, dtype=_NUMERAL)
    text["sign"] = np.where(scaled < 0, _MINUS, _SPACE)
    text["digits"] = _DIGITS.take(np.abs(scaled), mode="clip")
    joined = text.tobytes()
    width = vectors.shape[-1] * _NUMERAL.itemsize
    return [b"[" + joined[at : at + width - 1] + b"]" for at in range(0, len(joined), width)]
