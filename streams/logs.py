"""Logging of the commands: for people or as JSON lines, on standard error. Nothing is set up on import."""

import logging
import re
import sys
import time
from collections import Counter
from collections.abc import Callable
from typing import TextIO

import msgspec

from streams.settings import LogSettings

TALKATIVE = ("faust", "mode", "aiokafka", "httpx", "httpcore", "transformers", "torch", "PIL", "urllib3")
"""Loggers that say at info what is of no use to an operator, or what belongs to a user, such as URIs."""

CLIENT = "streams.kafka"
"""Where the Kafka client itself logs."""

REPETITIVE = (CLIENT, "aiokafka", "faust", "mode")
REPEAT_SECONDS = 30.0

HANDLER_NAME = "penchant"
_NUMBERS = re.compile(r"\d+")


class Repetition(logging.Filter):
    """Lets a client's message through once in REPEAT_SECONDS, with the number that was held back.

    A broker that is away makes its clients repeat themselves a hundred times a second.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._clock = clock
        self._last: dict[tuple[str, str], float] = {}
        self._held: Counter[tuple[str, str]] = Counter()

    def filter(self, record: logging.LogRecord) -> bool:
        if not record.name.startswith(REPETITIVE) or record.levelno >= logging.CRITICAL:
            return True
        kind = (record.name, _kind(record.getMessage()))
        now = self._clock()
        if now - self._last.get(kind, -REPEAT_SECONDS) < REPEAT_SECONDS:
            self._held[kind] += 1
            return False
        self._last[kind] = now
        held = self._held.pop(kind, 0)
        if held:
            record.msg, record.args = f"{record.getMessage()} ({held} more like this)", None
        return True


class Passing(logging.Filter):
    """Holds back what a client says of a broker that starts: it tries again, and all is well."""

    def filter(self, record: logging.LogRecord) -> bool:
        if record.name != CLIENT or logging.getLogger().isEnabledFor(logging.DEBUG):
            return True
        message = record.getMessage()
        return not (message.startswith("GETPID") and message.endswith("retrying"))


def _kind(message: str) -> str:
    """What a message is about: its words without numbers, so that two ports or offsets make one kind."""
    return _NUMBERS.sub("#", message)[:60]


class HumanFormatter(logging.Formatter):
    """`12:30:01.250 INFO    streams.encode.worker: what happened`, in local time."""

    default_msec_format = "%s.%03d"
    default_time_format = "%H:%M:%S"

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)-7s %(name)s: %(message)s")


class JsonFormatter(logging.Formatter):
    """One JSON object a line: time (RFC 3339, UTC), level, logger, thread, message, and an error's stack."""

    def format(self, record: logging.LogRecord) -> str:
        seconds = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        line: dict[str, str] = {
            "time": f"{seconds}.{int(record.msecs):03d}Z",
            "level": record.levelname.lower(),
            "logger": record.name,
            "thread": record.threadName or "",
            "message": record.getMessage(),
        }
        if record.exc_info:
            line["error"] = self.formatException(record.exc_info)
        return msgspec.json.encode(line).decode()


def configure(settings: LogSettings, stream: TextIO | None = None) -> None:
    """Set the root logger up, in place of what an earlier call set up. Only commands call this.

    The Kafka client is silent but at debug: a command says itself, in one line, what is wrong.
    """
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.set_name(HANDLER_NAME)
    handler.addFilter(Passing())
    handler.addFilter(Repetition())
    handler.setFormatter(JsonFormatter() if settings.format == "json" else HumanFormatter())
    root = logging.getLogger()
    for old in [each for each in root.handlers if each.get_name() == HANDLER_NAME]:
        root.removeHandler(old)
    root.addHandler(handler)
    level = logging.getLevelNamesMapping()[settings.level.upper()]
    root.setLevel(level)
    logging.captureWarnings(True)
    quiet = logging.NOTSET if level <= logging.DEBUG else max(level, logging.WARNING)
    for name in TALKATIVE:
        logging.getLogger(name).setLevel(quiet)
    logging.getLogger(CLIENT).setLevel(logging.NOTSET if level <= logging.DEBUG else logging.CRITICAL)


def let_client_speak() -> None:
    """A worker lives long, and waits where the broker goes away: its log is where that is seen."""
    logging.getLogger(CLIENT).setLevel(logging.NOTSET)
