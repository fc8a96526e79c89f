"""Numbers as JSON text, for a whole batch at once.

Writing numbers one by one is the dearest step of an output. Numbers of unit vectors, rounded to five
decimals, all fit the same eight bytes: a minus or a space (which JSON allows before a number), one
digit, the point, five digits. So a table of them all makes an array of text.
"""

import msgspec
import numpy as np
from numpy.typing import NDArray

DECIMALS = 5
_ONE = 10**DECIMALS
_NUMERALS = np.frombuffer(
    b"".join(
        b"%b%d.%05d" % (b"-" if number < 0 else b" ", *divmod(abs(number), _ONE))
        for number in range(-_ONE, _ONE + 1)
    ),
    dtype="<u8",
)
_PLACE = b"        ,"
_encoder = msgspec.json.Encoder()


def unit_vectors(vectors: NDArray[np.float32], before: bytes = b"[", after: bytes = b"]") -> list[bytes]:
    """JSON arrays of vectors [..., d] whose numbers lie within -1 and 1, in order of memory.

    A number beyond is cut to the bound. `before` and `after` are the text around the numbers.
    """
    scaled = np.fmin(np.fmax(vectors, -1), 1) * np.float32(_ONE)
    numbers = np.rint(scaled, out=scaled).astype(np.int32).reshape(-1, vectors.shape[-1])
    numbers += _ONE
    count, length = numbers.shape
    empty = np.frombuffer(before + (_PLACE * length)[:-1] + after, dtype=np.uint8)
    width = len(empty)
    text = np.empty((count, width), dtype=np.uint8)
    text[:] = empty
    places = np.ndarray(
        (count, length), _NUMERALS.dtype, text.data, offset=len(before), strides=(width, len(_PLACE))
    )
    places[:] = _NUMERALS.take(numbers, mode="clip")
    joined = text.tobytes()
    return [joined[at : at + width] for at in range(0, len(joined), width)]


def shortest(numbers: list[float]) -> list[bytes]:
    """The shortest JSON text of each number."""
    return _encoder.encode(numbers)[1:-1].split(b",") if numbers else []
