"""Logging: two formats, set up by commands alone."""

import io
import json
import logging
import subprocess
import sys
import warnings
from pathlib import Path

import pytest

from streams.logs import CLIENT, REPEAT_SECONDS, Repetition, configure, let_client_speak
from streams.settings import LogSettings

ROOT = Path(__file__).resolve().parents[2]


def written(settings: LogSettings) -> io.StringIO:
    stream = io.StringIO()
    configure(settings, stream)
    return stream


def test_human_lines() -> None:
    stream = written(LogSettings())
    logging.getLogger("streams.x").info("read %d", 3)
    time, level, rest = stream.getvalue().split(maxsplit=2)
    assert len(time) == len("12:00:00.000")
    assert (level, rest) == ("INFO", "streams.x: read 3\n")


def test_json_lines_carry_errors_with_their_stack() -> None:
    stream = written(LogSettings(format="json"))
    try:
        raise ValueError("two\nlines")
    except ValueError:
        logging.getLogger("streams.x").exception("failed")
    logging.getLogger("streams.x").warning("next \u00e9")
    first, second = map(json.loads, stream.getvalue().splitlines())
    assert (first["level"], first["logger"], first["message"]) == ("error", "streams.x", "failed")
    assert "ValueError: two\nlines" in first["error"]
    assert second["message"] == "next \u00e9"
    assert "error" not in second
    assert first["time"][10] == "T" and first["time"].endswith("Z")


@pytest.mark.parametrize(("level", "shown"), [("debug", 4), ("info", 3), ("warning", 2), ("error", 1)])
def test_levels(level: str, shown: int) -> None:
    stream = written(LogSettings(level=level))  # type: ignore[arg-type]
    for number in (logging.DEBUG, logging.INFO, logging.WARNING, logging.ERROR):
        logging.getLogger("streams.x").log(number, "a line")
    assert len(stream.getvalue().splitlines()) == shown


def test_clients_that_tell_uris_are_quiet_at_info() -> None:
    stream = written(LogSettings())
    logging.getLogger("httpx").info("GET https://example.org/users/anna")
    logging.getLogger("faust.worker").info("a table")
    assert stream.getvalue() == ""
    logging.getLogger("httpx").warning("slow")
    assert "slow" in stream.getvalue()


@pytest.mark.parametrize(
    ("level", "why", "shown"),
    [("info", "Loading: retrying", 0), ("debug", "Loading: retrying", 1), ("info", "Not authorized", 1)],
)
def test_a_broker_that_still_starts_is_no_warning(level: str, why: str, shown: int) -> None:
    stream = written(LogSettings(level=level))  # type: ignore[arg-type]
    let_client_speak()
    said = f"[thrd:main]: Failed to acquire idempotence PID from broker 127.0.0.1:9092/1: Broker: {why}"
    logging.getLogger(CLIENT).warning("%s [%s] %s", "GETPID", "rdkafka#producer-1", said)
    assert len(stream.getvalue().splitlines()) == shown


def test_debug_lets_them_talk_again() -> None:
    written(LogSettings())
    stream = written(LogSettings(level="debug"))
    logging.getLogger("httpx").info("GET")
    assert "GET" in stream.getvalue()


def test_the_kafka_client_speaks_in_workers_alone() -> None:
    stream = written(LogSettings())
    logging.getLogger(CLIENT).error("connection refused")
    assert stream.getvalue() == ""
    let_client_speak()
    logging.getLogger(CLIENT).error("connection refused")
    assert "connection refused" in stream.getvalue()


def test_a_second_set_up_replaces_the_first() -> None:
    first = written(LogSettings())
    second = written(LogSettings())
    logging.getLogger("streams.x").info("once")
    assert first.getvalue() == ""
    assert second.getvalue().count("once") == 1


def test_warnings_are_logged() -> None:
    stream = written(LogSettings())
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        logging.captureWarnings(True)
        warnings.warn("old", DeprecationWarning, stacklevel=1)
        logging.captureWarnings(False)
    assert "old" in stream.getvalue()


def test_importing_sets_nothing_up() -> None:
    script = (
        "import logging, streams.cli, streams.logs, streams.processes, streams.commands.run\n"
        "assert not logging.getLogger().handlers, logging.getLogger().handlers"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr


def test_a_client_that_repeats_itself_is_heard_once_with_a_count() -> None:
    now = [0.0]
    repetition = Repetition(lambda: now[0])

    def heard(message: str, name: str = CLIENT) -> str | None:
        record = logging.LogRecord(name, logging.WARNING, "", 0, message, None, None)
        return record.getMessage() if repetition.filter(record) else None

    assert heard("broker 127.0.0.1:9092 is away") == "broker 127.0.0.1:9092 is away"
    assert heard("broker 127.0.0.1:9093 is away") is None
    assert heard("another matter") == "another matter"
    assert heard("broker 1 is away", "streams.encode.worker") == "broker 1 is away"
    now[0] = REPEAT_SECONDS
    assert heard("broker 127.0.0.1:9092 is away") == "broker 127.0.0.1:9092 is away (1 more like this)"
