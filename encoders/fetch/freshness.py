"""How long an answer over HTTP may be taken for right without asking again (RFC 9111)."""

import re

LONGEST_SECONDS = 86_400.0
"""Who says a year means a day here: a vector is cheap to check once a day."""
MAX_AGE = re.compile(r"(?:^|[,\s])max-age\s*=\s*\"?(\d{1,10})", re.IGNORECASE | re.ASCII)
NEVER = re.compile(r"(?:^|[,\s])(?:no-store|no-cache)(?:$|[,\s=])", re.IGNORECASE)


def fresh_seconds(cache_control: str, age: str, otherwise: float) -> float:
    """Seconds, by the values of the headers Cache-Control and Age; `otherwise` where they say nothing."""
    if NEVER.search(cache_control):
        return 0.0
    found = MAX_AGE.search(cache_control)
    if found is None:
        return otherwise
    passed = float(age) if age.isascii() and age.isdecimal() else 0.0
    return min(LONGEST_SECONDS, max(0.0, float(found[1]) - passed))
