"""Descriptions of facts that many users share, such as those of a first evening."""

from collections import OrderedDict

from encoders.language.base import Description


class DescriptionCache:
    """By digest (`statements.digest_of`). What was used longest ago gives way."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._held: OrderedDict[bytes, Description] = OrderedDict()

    def __len__(self) -> int:
        return len(self._held)

    def get(self, digest: bytes) -> Description | None:
        found = self._held.get(digest)
        if found is not None:
            self._held.move_to_end(digest)
        return found

    def put(self, digest: bytes, description: Description) -> None:
        self._held[digest] = description
        self._held.move_to_end(digest)
        while len(self._held) > self._size:
            self._held.popitem(last=False)
