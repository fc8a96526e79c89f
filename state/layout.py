"""The fusion record of one user: a fixed layout of little-endian fields, which a whole batch shares."""

import numpy as np

DIM = 64
"""Dimension of item space, where interests and items meet."""
SHARED_DIM = 128
"""Dimension of the vectors that the encoders hand over."""
MODALITY_COUNT = 4
MODALITY_NAMES = ("text", "image", "audio", "video")
"""By code."""
HEAD_COUNT = 8
HEAD_DIM = 32
RING = 32
"""Events that are kept one by one; older ones live on in the sums."""
REMEMBERED = 128
"""Event ids that are remembered to catch duplicates."""

HALF_LIVES_SECONDS: tuple[float, ...] = (
    60.0,
    600.0,
    3_600.0,
    21_600.0,
    86_400.0,
    604_800.0,
    5_184_000.0,
    float("inf"),
)
"""Half-life of each long-term head: 1 and 10 minutes, 1 and 6 hours, a day, a week, 60 days, forever."""

DISLIKE_HALF_LIFE_SECONDS = 30 * 86_400.0
"""A dislike weighs half as much after 30 days."""

MODALITY_HEAD = 5
"""The head whose weights also sum the shares of the modalities: a week."""

NEVER = np.iinfo(np.int64).min
"""Time of an empty slot and of an empty sum: before every event."""

FARTHEST = 2**61
"""Event times are held within this, so that no difference of two overflows."""

FLAG_USABLE = 1
"""The slot has a vector."""
FLAG_RETRACTED = 2
FLAG_ANSWERED = 4
"""Of an `unlike`: a like that it cancels stood in the ring, so it adds nothing negative of its own."""

SLOT = np.dtype(
    [
        ("time", "<i8"),
        ("event", "<u8"),
        ("item", "<u8"),
        ("sequence", "<i8"),
        ("weight", "<f2"),
        ("action", "u1"),
        ("dwell", "u1"),
        ("flags", "u1"),
        ("shares", "u1", (MODALITY_COUNT,)),
        ("vector", "i1", (DIM,)),
    ]
)
"""One event. `vector` points where the item's vector points; only its direction counts.

`shares` are the shares of the modalities in it, in 255ths; `weight` multiplies its attention.
"""

MAGIC = b"PI"
FORMAT = 1

RECORD = np.dtype(
    [
        ("magic", "S2"),
        ("format", "<u2"),
        ("model", "<u4"),
        ("version", "<i8"),
        ("event_count", "<i8"),
        ("sum_time", "<i8"),
        ("mass", "<f4", (HEAD_COUNT,)),
        ("norm", "<f4", (HEAD_COUNT,)),
        ("value", "<f4", (HEAD_COUNT, HEAD_DIM)),
        ("modalities", "<f4", (MODALITY_COUNT,)),
        ("dislike_time", "<i8"),
        ("dislike_mass", "<f4"),
        ("dislike_norm", "<f4"),
        ("dislike_value", "<f4", (DIM,)),
        ("cursor", "u1"),
        ("remembered", "<u8", (REMEMBERED,)),
        ("ring", SLOT, (RING,)),
    ]
)
"""What is stored for one user.

`mass` is the running maximum m of the online softmax, `norm` and `value` its sums n and v at the
reference time `sum_time`; the dislike bank has its own. `remembered` is a ring of event ids in the
order of their arrival, `cursor` the place of the next. The slots of `ring` lie in no order.
"""

RECORD_BYTES = RECORD.itemsize
