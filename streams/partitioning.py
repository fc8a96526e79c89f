"""Which partition a key belongs to: murmur2, as Java's producers and `murmur2_random` have it.

The hash is Austin Appleby's MurmurHash2 with the seed that Kafka chose; its sign bit is dropped.
"""

_SEED = 0x9747B28C
_M = 0x5BD1E995
_MASK = 0xFFFFFFFF


def partition_of(key: bytes, partitions: int) -> int:
    """The partition of a key that is not null."""
    return partition_of_hash(murmur2(key), partitions)


def partition_of_hash(hashed: int, partitions: int) -> int:
    """The partition of a key whose murmur2 is known."""
    return (hashed & 0x7FFFFFFF) % partitions


def murmur2(key: bytes) -> int:
    """32 bits, without a sign."""
    length = len(key)
    state = _SEED ^ length
    whole = length & ~3
    for at in range(0, whole, 4):
        block = int.from_bytes(key[at : at + 4], "little") * _M & _MASK
        block = (block ^ block >> 24) * _M & _MASK
        state = (state * _M & _MASK) ^ block
    if whole < length:
        state = (state ^ int.from_bytes(key[whole:], "little")) * _M & _MASK
    state = (state ^ state >> 13) * _M & _MASK
    return state ^ state >> 15
