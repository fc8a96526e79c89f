"""A dead letter to the record that takes its place: same key, partition, headers and event id."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace

import msgspec
from msgspec import Raw

from streams.encode.parsing import made_event_id, parse_interaction, parse_item
from streams.errors import RecordError
from streams.letters import REDRIVEN, Letter, LetterPlace, Mark
from streams.raw import FIRST_SENT, RawHeaders, RawRecord, first_sent
from streams.records import Id
from streams.settings import Settings

_RECORD_OVERHEAD = 256
_EVENT_ID = "event_id"
_NULL = b"null"


@dataclass(frozen=True, slots=True)
class Redriven:
    """What is sent for a letter. `partition` is none where the key, which is a new one, decides."""

    letter: Letter
    topic: str
    partition: int | None
    key: bytes | None
    value: bytes | None
    headers: list[tuple[str, bytes | None]]
    event_id: str | None
    """None for an item."""

    @property
    def place(self) -> LetterPlace:
        return self.letter.place


@dataclass(frozen=True, slots=True)
class Target:
    """A topic that letters go back to: its partitions, and the bytes that it takes in one record."""

    partitions: int
    max_bytes: int


@dataclass(frozen=True, slots=True)
class Mending:
    """How letters become records. `targets` are the topics that letters may go back to.

    `mends` gives values by letter, as JSON. `rekey` sends an event under its user_id where the key is
    another.
    """

    settings: Settings
    targets: Mapping[str, Target]
    mends: Mapping[LetterPlace, bytes]
    rekey: bool = False

    def prepare(self, letter: Letter, before: Mark | None) -> Redriven:
        """The record for a letter whose record is whole; `before` is its mark, where it was redriven already.

        Raises RecordError where the encode worker would set it aside again, or where it cannot be sent.
        """
        record = letter.dead.record
        target = self.targets.get(record.topic)
        if target is None:
            raise RecordError("foreign_topic", f"a record of {record.topic}: {self._redrivable()}")
        if record.topic == self.settings.topics.interactions:
            redriven = self._event(letter, before)
        else:
            redriven = self._item(letter)
        if redriven.partition is not None and redriven.partition >= target.partitions:
            raise RecordError(
                "no_partition", f"{record.topic} has no partition {redriven.partition} any more"
            )
        size = _size(redriven)
        if size > target.max_bytes:
            raise RecordError(
                "too_large", f"{size} bytes with its headers, yet {record.topic} takes {target.max_bytes}"
            )
        return redriven

    def _event(self, letter: Letter, before: Mark | None) -> Redriven:
        record = letter.dead.record
        value = self._value(letter)
        fields = _fields(value)
        event_id = _event_id(letter, before, fields)
        if event_id is not None and _member(fields, _EVENT_ID, Id) != event_id:
            fields[_EVENT_ID] = Raw(msgspec.json.encode(event_id))
            value = msgspec.json.encode(fields)
        key = record.key
        user_id = _member(fields, "user_id", Id)
        if self.rekey and user_id is not None:
            key = user_id.encode()
        partition = record.partition if key == record.key else None
        redriven = _redriven(letter, partition, key, value, event_id)
        try:
            parse_interaction(self._as_counted(redriven, user_id), self.settings.actions)
        except RecordError as error:
            raise RecordError(error.reason, f"{error}{_ADVICE.get(error.reason, '')}") from error
        return redriven

    def _item(self, letter: Letter) -> Redriven:
        record = letter.dead.record
        value = self._value(letter)
        if value is not None and value.strip() == _NULL:
            value = None
        redriven = _redriven(letter, record.partition, record.key, value, None)
        try:
            parse_item(_as_sent(redriven))
        except RecordError as error:
            advice = _ITEM_KEY if error.reason == "key_mismatch" else ""
            raise RecordError(error.reason, f"{error}{advice}") from error
        return redriven

    def _as_counted(self, redriven: Redriven, user_id: str | None) -> RawRecord:
        """The record that the encode worker would read: with topics.repartition, under its user's id."""
        if self.settings.topics.repartition and user_id is not None:
            redriven = replace(redriven, key=user_id.encode())
        return _as_sent(redriven)

    def _value(self, letter: Letter) -> bytes | None:
        return self.mends.get(letter.place, letter.dead.record.value)

    def _redrivable(self) -> str:
        names = self.settings.topics
        return f"only those of {names.interactions} and {names.items} can be sent again"


_ADVICE = {
    "unknown_action": "; give it a known one by --edit, or map it in the settings' [actions]",
    "key_mismatch": "; mend it by --edit, or send it under its user_id by --rekey",
}
_ITEM_KEY = "; send it under its own key by `penchant items load` or `penchant items withdraw`"


def _fields(value: bytes | None) -> dict[str, Raw]:
    """Members of a JSON object, their bytes as they are. Raises RecordError not_json."""
    try:
        return msgspec.json.decode(b"" if value is None else value, type=dict[str, Raw])
    except RecursionError:
        raise RecordError("not_json", "nested too deeply") from None
    except (msgspec.MsgspecError, ValueError) as error:
        raise RecordError("not_json", f"no JSON object: {error}; give the mended value by --edit") from error


def _member(fields: Mapping[str, Raw], name: str, kind: type[str]) -> str | None:
    """A member that is there and valid, else none."""
    try:
        return msgspec.json.decode(fields[name], type=kind) if name in fields else None
    except (msgspec.MsgspecError, ValueError):
        return None


def _event_id(letter: Letter, before: Mark | None, fields: Mapping[str, Raw]) -> str | None:
    """The id that the event must have.

    It is what the event was redriven with before, else its own, else one given with the mended value, else
    what the encode worker makes of the original place. None where the value has an invalid one, which the
    check tells of. Raises RecordError event_id where two of them differ.
    """
    given = _member(fields, _EVENT_ID, Id)
    if given is None and bytes(fields.get(_EVENT_ID, _NULL)) != _NULL:
        return None
    record = letter.dead.record
    fixed = before.event_id if before is not None else _own_id(record)
    if fixed is not None and given not in (None, fixed):
        raise RecordError(
            "event_id", f"the value has event_id {given!r}, yet the event is {fixed!r}: leave it as it was"
        )
    return fixed or given or made_event_id(record)


def _own_id(record: RawRecord) -> str | None:
    try:
        return _member(_fields(record.value), _EVENT_ID, Id)
    except RecordError:
        return None


def _redriven(
    letter: Letter, partition: int | None, key: bytes | None, value: bytes | None, event_id: str | None
) -> Redriven:
    record = letter.dead.record
    sent = first_sent(record)
    headers = [(name, content) for name, content in record.headers if name not in (REDRIVEN, FIRST_SENT)]
    headers.append((REDRIVEN, str(letter.place).encode()))
    headers.append((FIRST_SENT, str(record.timestamp if sent is None else sent).encode()))
    return Redriven(letter, record.topic, partition, key, value, headers, event_id)


def _as_sent(redriven: Redriven) -> RawRecord:
    now = int(time.time() * 1000)
    return RawRecord(redriven.topic, 0, 0, now, redriven.key, redriven.value, redriven.headers)


def _size(redriven: Redriven) -> int:
    parts = (redriven.key or b"", redriven.value or b"")
    return sum(map(len, parts)) + _headers_size(redriven.headers) + _RECORD_OVERHEAD


def _headers_size(headers: RawHeaders) -> int:
    return sum(len(name.encode()) + len(value or b"") + 8 for name, value in headers)
