"""How dead letters are shown: a line, a page, a JSON line, and counts. Nothing here can upset a terminal."""

import base64
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime

import msgspec
from msgspec import UNSET, Raw, UnsetType

from streams.letters import Letter, Mark

HEX_BYTES = 4_096
"""Of a value that is not JSON, so much is shown."""
_LINE_MESSAGE = 100
_HEX_LINE = 16
_INDENT = 12


class LetterJson(msgspec.Struct, omit_defaults=True):
    """A letter on one line. `value` is there where it is JSON, else `value_base64`."""

    letter: str
    topic: str
    partition: int
    offset: int
    key: str | None
    stage: str
    error_class: str
    message: str
    time: int
    redriven: int | None = None
    """When it was redriven, epoch milliseconds."""
    headers: list[tuple[str, str | None]] = []
    value: Raw | UnsetType = UNSET
    value_base64: str | None = None
    truncated: int | None = None
    """Bytes that the value had before it was cut."""


def letter_json(letter: Letter, mark: Mark | None) -> bytes:
    """One line of JSON, as `redrive --edits` takes it."""
    dead, record = letter.dead, letter.dead.record
    line = LetterJson(
        letter=str(letter.place),
        topic=record.topic,
        partition=record.partition,
        offset=record.offset,
        key=as_text(record.key),
        stage=dead.stage,
        error_class=dead.reason,
        message=dead.message,
        time=dead.time,
        redriven=None if mark is None else mark.time,
        headers=[(name, as_text(value)) for name, value in record.headers],
        truncated=letter.cut_from,
    )
    if record.value is None:
        line.value = Raw(b"null")
    elif is_json(record.value):
        line.value = Raw(msgspec.json.format(record.value, indent=-1))
    else:
        line.value_base64 = base64.b64encode(record.value).decode()
    return msgspec.json.encode(line)


def letter_line(letter: Letter, mark: Mark | None) -> str:
    """One line for a person."""
    dead, record = letter.dead, letter.dead.record
    message = printable(dead.message)
    if len(message) > _LINE_MESSAGE:
        message = message[: _LINE_MESSAGE - 3] + "..."
    parts = (
        str(letter.place),
        moment(dead.time),
        printable(dead.stage),
        printable(dead.reason),
        f"{printable(record.topic)}-{record.partition}@{record.offset}",
        f"key={shown(letter.dead.record.key)}",
        "null" if record.value is None else f"{letter.cut_from or len(record.value):,} B",
        *(() if mark is None else ("redriven",)),
        message,
    )
    return "  ".join(parts)


def letter_page(letter: Letter, mark: Mark | None) -> Iterator[str]:
    """All of a letter, line by line: pretty JSON where it is JSON, else a hexadecimal dump."""
    dead, record = letter.dead, letter.dead.record
    facts = {
        "letter": str(letter.place),
        "record": f"{record.topic}-{record.partition}, offset {record.offset}",
        "key": shown(letter.dead.record.key),
        "stage": dead.stage,
        "error": f"{dead.reason}: {dead.message}",
        "set aside": moment(dead.time),
        "redriven": "no" if mark is None else moment(mark.time),
    }
    for name, fact in facts.items():
        yield f"{name:{_INDENT}}{printable(fact)}"
    for name, content in record.headers:
        yield f"{'header':{_INDENT}}{printable(name)}: {shown(content)}"
    yield f"{'value':{_INDENT}}{_kind(letter)}"
    if record.value is not None:
        yield from _value(record.value)


@dataclass(slots=True)
class Count:
    """Letters of one kind. Times are epoch milliseconds."""

    letters: int = 0
    redriven: int = 0
    first: int = 0
    last: int = 0

    def add(self, time: int, redriven: bool) -> None:
        self.first = min(self.first, time) if self.letters else time
        self.last = max(self.last, time)
        self.letters += 1
        self.redriven += redriven


@dataclass(slots=True)
class Summary:
    """Counts by error class, stage and topic."""

    counts: dict[tuple[str, str, str], Count] = field(default_factory=dict)

    def add(self, letter: Letter, mark: Mark | None) -> None:
        dead = letter.dead
        kind = (dead.reason, dead.stage, dead.record.topic)
        self.counts.setdefault(kind, Count()).add(dead.time, mark is not None)

    def lines(self) -> Iterator[str]:
        """The most frequent first."""
        for (reason, stage, topic), count in self._ordered():
            again = f", {count.redriven:,} redriven" if count.redriven else ""
            kind = f"{printable(reason)}  {printable(stage)}  {printable(topic)}"
            yield f"{count.letters:>9,}  {kind}  {moment(count.first)} to {moment(count.last)}{again}"

    def json_lines(self) -> Iterator[bytes]:
        for (reason, stage, topic), count in self._ordered():
            kind = {"error_class": reason, "stage": stage, "topic": topic}
            yield msgspec.json.encode({**kind, **_members(count)})

    def _ordered(self) -> list[tuple[tuple[str, str, str], Count]]:
        return sorted(self.counts.items(), key=lambda pair: (-pair[1].letters, pair[0]))


def _members(count: Count) -> dict[str, int]:
    return {name: getattr(count, name) for name in ("letters", "redriven", "first", "last")}


def moment(time_ms: int) -> str:
    """Epoch milliseconds as RFC 3339, in UTC."""
    seconds, milliseconds = divmod(time_ms, 1000)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{milliseconds:03d}Z"


def as_text(content: bytes | None) -> str | None:
    """Text where it is UTF-8, else hexadecimal after `0x`."""
    if content is None:
        return None
    try:
        return content.decode()
    except UnicodeDecodeError:
        return f"0x{content.hex()}"


def shown(content: bytes | None) -> str:
    """Text or hexadecimal for a person; `none` for a null."""
    text = as_text(content)
    return "none" if text is None else printable(text)


def printable(text: str) -> str:
    """The text with what a terminal would obey, or break a line at, written as an escape."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def is_json(value: bytes) -> bool:
    try:
        msgspec.json.decode(value)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return False
    return True


def _kind(letter: Letter) -> str:
    value = letter.dead.record.value
    if value is None:
        return "null"
    cut = "" if letter.cut_from is None else f", the beginning of {letter.cut_from:,}"
    return f"{len(value):,} bytes{cut}, {'JSON' if is_json(value) else 'not JSON'}"


def _value(value: bytes) -> Iterator[str]:
    if is_json(value):
        for line in msgspec.json.format(value, indent=2).decode().split("\n"):
            yield printable(line)
        return
    for start in range(0, min(len(value), HEX_BYTES), _HEX_LINE):
        part = value[start : start + _HEX_LINE]
        text = "".join(chr(byte) if 32 <= byte < 127 else "." for byte in part)
        yield f"{start:08x}  {part.hex(' '):<{3 * _HEX_LINE - 1}}  {text}"
    if len(value) > HEX_BYTES:
        yield f"... {len(value) - HEX_BYTES:,} bytes more; --raw gives all"
