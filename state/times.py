"""Times as files and topics tell them: epoch milliseconds, or RFC 3339 text. Seconds are never guessed."""

import math
import re
from datetime import UTC, datetime, timedelta

LATEST = 253_402_300_799_999
"""The last millisecond of the year 9999; what lies beyond is held at it."""
EARLIEST = -62_135_596_800_000
"""The first millisecond of the year 1."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_DIGITS = re.compile(r"[+-]?[0-9]{1,400}(\.[0-9]{1,400})?")
_RFC_3339 = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2})[Tt ]([0-9]{2}:[0-9]{2}:)([0-9]{2})(\.[0-9]+)?([Zz]|[+-][0-9]{2}:[0-9]{2})"
)


def parse_time(value: int | float | str) -> int:
    """Epoch milliseconds, between EARLIEST and LATEST. Raises ValueError for what is no time."""
    if isinstance(value, str):
        value = _from_text(value)
    if isinstance(value, float):
        if not math.isfinite(value):
            raise ValueError("a time must be finite")
        value = math.floor(value)
    if value < EARLIEST:
        raise ValueError("a time before the year 1")
    return min(value, LATEST)


def told_time(name: str, value: int | float | str, told: str = "") -> int:
    """Epoch milliseconds of a field of a file, where nothing is held at LATEST. `told` is the value as it is
    written there. Raises ValueError, which names the field."""
    told = told or repr(value)[:60]
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"{name} {told} is no time")
    try:
        time = parse_time(value)
    except ValueError as error:
        raise ValueError(
            f"{name} {error}" if isinstance(value, str) else f"{name} {told}: {error}"
        ) from error
    if time >= LATEST:
        raise ValueError(f"{name} {told} is beyond the year 9999: milliseconds are wanted, or RFC 3339")
    return time


def told_event_time(value: int | float | str, told: str = "") -> int:
    """As `told_time`, of an event: as in the topic, none lies before 1970."""
    time = told_time("timestamp", value, told)
    if time < 0:
        raise ValueError(f"timestamp {told or repr(value)[:60]} is before 1970")
    return time


def _from_text(text: str) -> int | float:
    text = text.strip()
    if _DIGITS.fullmatch(text):
        return float(text) if "." in text else int(text)
    match = _RFC_3339.fullmatch(text)
    if match is None:
        raise ValueError(
            f"{text[:40]!r} is neither epoch milliseconds nor RFC 3339 with an offset, "
            "such as 2026-01-31T12:00:00Z"
        )
    day, minute, second, fraction, offset = match.groups()
    # RFC 3339 knows leap seconds, datetime does not.
    leap = second == "60"
    exact = f"{day}T{minute}{'59' if leap else second}{(fraction or '')[:7]}{offset.upper()}"
    moment = datetime.fromisoformat(exact) - _EPOCH + timedelta(seconds=int(leap))
    return moment // timedelta(milliseconds=1)
