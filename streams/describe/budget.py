"""How many descriptions, and how many characters, may be spent in a minute."""


class Budget:
    """A bucket that fills steadily: `per_minute` may be spent at once after a minute's rest; 0 is no limit.

    What is spent beyond, since its size is known only afterwards, is owed.
    """

    def __init__(self, per_minute: float, now: float) -> None:
        self._size = per_minute
        self._left = per_minute
        self._at = now

    def left(self, now: float) -> float:
        """What may be spent now; below 0 while something is owed. `now` in seconds."""
        if self._size <= 0:
            return float("inf")
        self._left = min(self._size, self._left + max(0.0, now - self._at) * self._size / 60)
        self._at = now
        return self._left

    def spend(self, amount: float) -> None:
        self._left -= amount
