"""`penchant send`: interaction events from a file or standard input."""

import contextlib
import time
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import click
import msgspec

from state.unknown_fields import UnknownFields
from streams.commands.unknown import warn_of_unknown
from streams.delivery import CheckedProducer, Tally
from streams.encode.parsing import parse_interaction
from streams.errors import InputError, RecordError
from streams.exits import EXIT_FAILED
from streams.raw import RawRecord
from streams.records import Interaction, fields_of
from streams.settings import Settings


class _Keyed(msgspec.Struct):
    user_id: str


class Pace:
    """Holds a rate: `wait` returns when the next record is due. None means at once."""

    def __init__(self, per_second: float | None) -> None:
        self._per_second = per_second
        self._start = time.monotonic()
        self._count = 0

    def wait(self, producer: CheckedProducer) -> None:
        if self._per_second is None:
            return
        due = self._start + self._count / self._per_second
        self._count += 1
        while (left := due - time.monotonic()) > 0:
            producer.serve(min(left, 0.5))


@click.command()
@click.argument("file", type=click.Path(dir_okay=False, allow_dash=True, path_type=Path), default="-")
@click.option("--rate", type=click.FloatRange(min=0, min_open=True), help="Events a second, at most.")
@click.option("--raw", is_flag=True, help="Send malformed lines, too, as they are.")
@click.pass_obj
def send(settings: Settings, file: Path, rate: float | None, raw: bool) -> None:
    """Send events to `interactions`, one JSON object a line, from FILE or standard input.

    Each is keyed by its user_id. Malformed lines are told and left out; Ctrl-C ends the sending. Exits with 1
    where a line was left out, or an event not delivered; the others are sent all the same.
    """
    with _opened(file) as lines:
        producer = CheckedProducer(settings, settings.topics.interactions, _complain)
        pace = Pace(rate)
        unknown = UnknownFields(fields_of(Interaction))
        malformed = 0
        try:
            with contextlib.suppress(KeyboardInterrupt):
                for where, line in _numbered(file, lines):
                    key, problem = _inspect(line, settings)
                    if problem is not None:
                        malformed += 1
                        _complain(f"{where}: {problem}")
                    else:
                        unknown.look_at(line)
                    if problem is None or raw:
                        pace.wait(producer)
                        producer.send(where, key, line)
        finally:
            tally = producer.finish()
            click.echo(_summary(tally, malformed, raw))
            warn_of_unknown(unknown, "context")
    if tally.lost or (malformed and not raw):
        raise click.exceptions.Exit(EXIT_FAILED)


def _summary(tally: Tally, malformed: int, raw: bool) -> str:
    lost = f"{tally.lost:,} not delivered"
    if raw:
        return f"{tally.delivered:,} lines sent, {malformed:,} of them malformed, {lost}"
    return f"{tally.delivered:,} events sent, {malformed:,} malformed, {lost}"


def _opened(file: Path) -> contextlib.AbstractContextManager[BinaryIO]:
    if str(file) == "-":
        return contextlib.nullcontext(click.get_binary_stream("stdin"))
    try:
        return file.open("rb")
    except OSError as error:
        raise InputError(f"{file}: {error.strerror}") from error


def _numbered(file: Path, lines: BinaryIO) -> Iterator[tuple[str, bytes]]:
    name = "standard input" if str(file) == "-" else str(file)
    for number, line in enumerate(lines, 1):
        content = line.strip()
        if content:
            yield f"{name}:{number}", content


def _inspect(line: bytes, settings: Settings) -> tuple[bytes | None, str | None]:
    """The key that the line belongs under, as far as it tells, and what is wrong with it."""
    try:
        key = msgspec.json.decode(line, type=_Keyed).user_id.encode()
    except (msgspec.MsgspecError, ValueError, RecursionError):
        key = None
    now = int(time.time() * 1000)
    record = RawRecord(settings.topics.interactions, 0, 0, now, key, line)
    try:
        parse_interaction(record, settings.actions)
    except RecordError as error:
        return key, f"{error.reason}: {error}"
    return key, None


def _complain(problem: str) -> None:
    click.echo(problem, err=True)
