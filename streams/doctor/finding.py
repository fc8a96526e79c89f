"""What a check found."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum

from streams.settings import Settings


class Level(StrEnum):
    OK = "OK"
    WARN = "WARN"
    FAIL = "FAIL"


@dataclass(frozen=True, slots=True)
class Finding:
    """One line: what was looked at, what was seen, and what to do about it."""

    level: Level
    subject: str
    seen: str
    mend: str = ""

    def __str__(self) -> str:
        text = f"{self.subject}: {self.seen}"
        return f"{self.level:<4} {' '.join((f'{text}; {self.mend}' if self.mend else text).split())}"


def ok(subject: str, seen: str) -> Finding:
    return Finding(Level.OK, subject, seen)


def warn(subject: str, seen: str, mend: str) -> Finding:
    return Finding(Level.WARN, subject, seen, mend)


def fail(subject: str, seen: str, mend: str) -> Finding:
    return Finding(Level.FAIL, subject, seen, mend)


Check = Callable[[Settings], Iterator[Finding]]


def run_check(subject: str, check: Check, settings: Settings) -> Iterator[Finding]:
    """The findings of a check; an error that it did not expect is one of them."""
    try:
        yield from check(settings)
    except Exception as error:
        yield fail(subject, f"{type(error).__name__}: {error}", "this was not expected: please report it")
