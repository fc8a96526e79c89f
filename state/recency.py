"""Bounded sets of hashes, each with the time of its last mention, kept as sorted fixed-width bytes.

An entry is a big-endian stamp followed by four bytes of hash, so entries sort by time as plain bytes
do, the oldest can be cut off the front, and a whole batch of sets decodes with one `numpy.frombuffer`.
The result of any sequence of `touch` is the same for every order of the calls.
"""

from collections.abc import Iterator

MARK_BYTES = 4


def mark_of(item_hash: int) -> bytes:
    """The four bytes by which a set knows an item: the low half of its 64-bit hash, big-endian."""
    return (item_hash & 0xFFFFFFFF).to_bytes(MARK_BYTES, "big")


def find(entries: bytes, mark: bytes, stamp_bytes: int) -> int:
    """Index of the first byte of the entry of `mark`, or -1."""
    width = stamp_bytes + MARK_BYTES
    at = entries.find(mark, stamp_bytes)
    while at >= 0:
        if (at - stamp_bytes) % width == 0:
            return at - stamp_bytes
        at = entries.find(mark, at + 1)
    return -1


def stamp_of(entries: bytes, mark: bytes, stamp_bytes: int) -> int | None:
    """The stamp of `mark`, or None where it is not in the set."""
    at = find(entries, mark, stamp_bytes)
    return None if at < 0 else int.from_bytes(entries[at : at + stamp_bytes], "big")


def entries_of(entries: bytes, stamp_bytes: int) -> Iterator[tuple[bytes, bytes]]:
    """Stamp and mark of every entry, the oldest first."""
    width = stamp_bytes + MARK_BYTES
    for at in range(0, len(entries), width):
        yield entries[at : at + stamp_bytes], entries[at + stamp_bytes : at + width]


def touch(entries: bytes, stamp: bytes, mark: bytes, limit: int) -> bytes:
    """The set with `mark` at the later of its own stamp and `stamp`, cut to the `limit` latest."""
    width = len(stamp) + MARK_BYTES
    at = find(entries, mark, len(stamp))
    if at >= 0:
        if entries[at : at + len(stamp)] >= stamp:
            return entries
        entries = entries[:at] + entries[at + width :]
    entry = stamp + mark
    if entry > entries[-width:]:
        entries += entry
    else:
        place = _place(entries, entry)
        entries = entries[:place] + entry + entries[place:]
    return entries[-limit * width :]


def _place(entries: bytes, entry: bytes) -> int:
    """Index of the byte before which the entry stands in order."""
    # Written out: `bisect` with a key takes twice as long.
    width = len(entry)
    low, high = 0, len(entries) // width
    while low < high:
        middle = (low + high) // 2
        at = middle * width
        if entries[at : at + width] < entry:
            low = middle + 1
        else:
            high = middle
    return low * width


def drop(entries: bytes, mark: bytes, stamp_bytes: int) -> bytes:
    """The set without `mark`."""
    at = find(entries, mark, stamp_bytes)
    return entries if at < 0 else entries[:at] + entries[at + stamp_bytes + MARK_BYTES :]
