"""Numbers as JSON text, for a whole batch at once.

Writing numbers one by one is the dearest step of an output. Numbers of unit vectors, rounded to five
decimals, all fit the same nine bytes: a minus or a space (which JSON allows before a number), one
digit, the point, five digits, a comma. So a table of all magnitudes makes an array of text.
"""

import msgspec
import numpy as np
from numpy.typing import NDArray

DECIMALS = 5
_ONE = 10**DECIMALS
_NUMERAL = np.dtype([("sign", "u1"), ("digits", "<u8")])
_DIGITS = np.frombuffer(
    b"".join(b"%d.%05d," % divmod(magnitude, _ONE) for magnitude in range(_ONE + 1)), dtype="<u8"
)
_MINUS, _SPACE = b"- "
_encoder = msgspec.json.Encoder()


def unit_vectors(vectors: NDArray[np.float32], before: bytes = b"[", after: bytes = b"]") -> list[bytes]:
    """JSON arrays of vectors [..., d] whose numbers lie within -1 and 1, in order of memory.

    A number beyond is cut to the bound. `before` and `after` are the text around the numbers.
    """
    scaled = np.rint(np.fmin(np.fmax(vectors, -1), 1) * np.float32(_ONE)).astype(np.int32)
    scaled = scaled.reshape(-1, vectors.shape[-1])
    count, length = scaled.shape
    opening = len(before)
    end = opening + length * _NUMERAL.itemsize - 1
    text = np.empty((count, end + max(len(after), 1)), dtype=np.uint8)
    numerals = np.ndarray(
        (count, length), _NUMERAL, text.data, offset=opening, strides=(text.shape[1], _NUMERAL.itemsize)
    )
    numerals["sign"] = np.where(scaled < 0, _MINUS, _SPACE)
    numerals["digits"] = _DIGITS.take(np.abs(scaled), mode="clip")
    text[:, :opening] = np.frombuffer(before, np.uint8)
    text[:, end : end + len(after)] = np.frombuffer(after, np.uint8)
    joined, width = text.tobytes(), text.shape[1]
    return [joined[at : at + end + len(after)] for at in range(0, len(joined), width)]


def shortest(numbers: list[float]) -> list[bytes]:
    """The shortest JSON text of each number."""
    return _encoder.encode(numbers)[1:-1].split(b",") if numbers else []
