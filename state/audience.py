"""Who gets slates."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from state.fusion import Readouts
from state.profile import Profile


@dataclass(slots=True, frozen=True)
class Audience:
    """Who gets slates: n users, and the moment (epoch milliseconds, int64 [n]) that availability,
    publishing and expiry are judged at."""

    readouts: Readouts
    profiles: Sequence[Profile]
    moments: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.profiles)

    def part(self, places: Sequence[int]) -> "Audience":
        """The users at these places alone."""
        if len(places) == len(self.profiles):
            return self
        index = np.array(places, dtype=np.int64)
        readouts = Readouts(
            **{field.name: getattr(self.readouts, field.name)[index] for field in fields(Readouts)}
        )
        return Audience(readouts, [self.profiles[place] for place in places], self.moments[index])

    def chunks(self, size: int) -> Iterator["Audience"]:
        """All of them, so many at a time."""
        for start in range(0, len(self), size):
            yield self.part(list(range(start, min(start + size, len(self)))))
