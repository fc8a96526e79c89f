"""How far ahead an event may lie."""

FUTURE_MS = 5 * 60 * 1000
"""How far an event may lie ahead of the broker's time of its record."""


def clamp(time_ms: int, broker_time: int) -> tuple[int, bool]:
    """An event's time, held at most FUTURE_MS after the broker's; and whether it had to be."""
    limit = broker_time + FUTURE_MS
    return (limit, True) if time_ms > limit else (time_ms, False)
