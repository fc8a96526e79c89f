"""Datasets from where they lie: a folder in the RecBole format, a Parquet file, JSON lines.

JSON lines are records of `interactions`, one a line; those without an item say nothing here and are passed
over. Parquet has the columns user_id, item_id and timestamp (a time, or epoch milliseconds), and may have
action, value (or rating), dwell_seconds and watched_fraction. Beside both may lie items: `items.jsonl` next
to the file, records of the topic `items`, of which title, description, tags, categories and published_at are
read.
"""

import math
from codecs import BOM_UTF8
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import msgspec

from state.errors import LearningError
from state.events import ACTIONS
from state.learning.dataset import Dataset, Facts, dataset_of
from state.learning.gathering import Event, Gathering, ReadingOptions
from state.learning.recbole import read_inter
from state.times import told_event_time, told_time
from state.unknown_fields import UnknownFields

if TYPE_CHECKING:
    import pyarrow

__all__ = ["ReadingOptions", "read_dataset"]

ITEMS = "items.jsonl"
LINES = (".jsonl", ".ndjson", ".json")
"""How names of JSON lines end."""
_UNREAD_OF_EVENTS = ("event_id", "text", "media", "context")
_UNREAD_OF_ITEMS = ("media", "expires_at", "available", "attributes")
"""Fields that the topics' records have and that tell nothing here."""
_CODES = {str(action): code for code, action in enumerate(ACTIONS)}
_BATCH = 65_536
_RATING = "rating"
"""Of Parquet alone."""
Shape = TypeVar("Shape", bound=msgspec.Struct)


class _Line(msgspec.Struct):
    """What is read of an interaction."""

    user_id: str
    action: str
    timestamp: int | float | str
    item_id: str | None = None
    value: float | None = None
    dwell_seconds: float | None = None
    watched_fraction: float | None = None


class _Item(msgspec.Struct):
    """What is read of an item."""

    item_id: str
    title: str = ""
    description: str = ""
    tags: list[str] = []
    categories: list[str] = []
    published_at: int | float | str | None = None


EVENT_FIELDS = (*_Line.__struct_fields__, *_UNREAD_OF_EVENTS)
ITEM_FIELDS = (*_Item.__struct_fields__, *_UNREAD_OF_ITEMS)


def read_dataset(path: Path, options: ReadingOptions | None = None) -> Dataset:
    """What lies at a path. Raises LearningError, which names the file and the line."""
    chosen = options or ReadingOptions()
    if path.is_dir():
        return read_inter(_inter_in(path), chosen)
    if not path.exists():
        raise LearningError(f"{path}: there is no such file or folder")
    gathering, unknown = Gathering(chosen), UnknownFields(EVENT_FIELDS)
    if path.suffix == ".inter":
        return read_inter(path, chosen)
    if path.suffix == ".parquet":
        _read_parquet(path, gathering, unknown)
    elif path.suffix in LINES:
        _read_lines(path, gathering, unknown)
    else:
        raise LearningError(f"{path}: wanted a folder with a .inter file, or a .parquet or .jsonl file")
    of_items = UnknownFields(ITEM_FIELDS)
    facts = _items_beside(path, of_items)
    seen = {path.name: unknown.told(), ITEMS: of_items.told()}
    told = [f"{name}: {each}" for name, each in seen.items() if each]
    return dataset_of(path.stem, gathering.finished(), facts, "; ".join(told))


def _inter_in(folder: Path) -> Path:
    found = sorted(folder.glob("*.inter"))
    if not found:
        raise LearningError(f"{folder}: wanted one file NAME.inter, found none; {_other_files(folder)}")
    if len(found) > 1:
        names = ", ".join(path.name for path in found)
        raise LearningError(f"{folder}: wanted one file NAME.inter, found {names}")
    return found[0]


def _other_files(folder: Path) -> str:
    """How to name what lies there, where it may be of another format."""
    endings = (*LINES, ".parquet")
    found = (path for path in sorted(folder.iterdir()) if path.suffix in endings and path.name != ITEMS)
    first = next(found, None)
    if first is None:
        return f"JSON lines and Parquet are named as a file, with {ITEMS} beside it"
    return f"of JSON lines and Parquet name the file, here {first}, with {ITEMS} beside it"


def _read_lines(path: Path, gathering: Gathering, unknown: UnknownFields) -> None:
    for where, line in _records(path, _Line, unknown):
        if line.item_id is None:
            continue
        code = _CODES.get(line.action)
        if code is None:
            raise LearningError(f"{where}: unknown action {line.action[:40]!r}")
        try:
            gathering.add(
                Event(
                    line.user_id,
                    line.item_id,
                    told_event_time(line.timestamp),
                    code,
                    _or_nan(line.value),
                    _or_nan(line.dwell_seconds),
                    _or_nan(line.watched_fraction),
                )
            )
        except ValueError as error:
            raise LearningError(f"{where}: {error}") from error


def _or_nan(value: float | None) -> float:
    return math.nan if value is None else value


def _items_beside(path: Path, unknown: UnknownFields) -> dict[str, Facts]:
    beside = path.with_name(ITEMS)
    if not beside.exists() or beside == path:
        return {}
    facts = {}
    for where, item in _records(beside, _Item, unknown):
        topics = tuple(dict.fromkeys((*item.categories, *item.tags)))
        text = ". ".join(part for part in (item.title, item.description) if part)
        try:
            published = None if item.published_at is None else told_time("published_at", item.published_at)
        except ValueError as error:
            raise LearningError(f"{where}: {error}") from error
        facts[item.item_id] = Facts(text, topics, published)
    return facts


def _records(path: Path, kind: type[Shape], unknown: UnknownFields) -> Iterator[tuple[str, Shape]]:
    """Each record with where it stands."""
    decoder = msgspec.json.Decoder(kind)
    try:
        with path.open("rb") as lines:
            for number, line in enumerate(lines, 1):
                text = line.removeprefix(BOM_UTF8) if number == 1 else line
                if text.strip():
                    where = f"{path}: line {number}"
                    yield where, _decoded(decoder, text, where)
                    unknown.look_at(text)
    except OSError as error:
        raise LearningError(f"{path}: {error}") from error


def _decoded(decoder: "msgspec.json.Decoder[Shape]", line: bytes, where: str) -> Shape:
    try:
        return decoder.decode(line)
    except msgspec.DecodeError as error:
        raise LearningError(f"{where}: {error}") from error
    except UnicodeDecodeError as error:
        raise LearningError(f"{where}: not UTF-8: {error.reason}") from error
    except RecursionError:
        raise LearningError(f"{where}: nested too deeply") from None


def _read_parquet(path: Path, gathering: Gathering, unknown: UnknownFields) -> None:
    try:
        from pyarrow import ArrowException
        from pyarrow.parquet import ParquetFile
    except ImportError as error:
        raise LearningError(
            f"{path}: Parquet files are read by pyarrow, which is not installed: install penchant[learn]"
        ) from error
    try:
        with ParquetFile(path) as file:
            names = set(file.schema_arrow.names)
            twice = [name for name, count in Counter(file.schema_arrow.names).items() if count > 1]
            if twice:
                raise LearningError(f"{path}: two columns {', '.join(twice)}")
            missing = {"user_id", "item_id", "timestamp"} - names
            if missing:
                raise LearningError(f"{path}: no column {', '.join(sorted(missing))}")
            wanted = sorted(names & {*_Line.__struct_fields__, _RATING})
            unknown.count(names - {_RATING}, file.metadata.num_rows)
            row = 1
            for batch in file.iter_batches(_BATCH, columns=wanted):
                _take_batch(path, row, batch, gathering)
                row += batch.num_rows
    except (ArrowException, OSError) as error:
        raise LearningError(f"{path}: {error}") from error


def _take_batch(path: Path, first: int, batch: "pyarrow.RecordBatch", gathering: Gathering) -> None:
    columns = _columns(path, first, batch)
    nothing = [None] * batch.num_rows
    actions = columns.get("action", nothing)
    ratings = columns.get(_RATING, nothing)
    values = [
        rating if value is None else value
        for value, rating in zip(columns.get("value", nothing), ratings, strict=True)
    ]
    dwells, watched = (columns.get(name, nothing) for name in ("dwell_seconds", "watched_fraction"))
    for place, (user, item, moment) in enumerate(
        zip(columns["user_id"], columns["item_id"], columns["timestamp"], strict=True)
    ):
        where = f"{path}: row {first + place}"
        if user is None or item is None or moment is None:
            raise LearningError(f"{where}: user_id, item_id and timestamp may not be empty")
        action = actions[place]
        code = None if action is None else _CODES.get(str(action))
        if action is not None and code is None:
            raise LearningError(f"{where}: unknown action {str(action)[:40]!r}")
        try:
            gathering.add(
                Event(
                    _id("user_id", user),
                    _id("item_id", item),
                    _parquet_time(moment),
                    code,
                    _number(values[place]),
                    _number(dwells[place]),
                    _number(watched[place]),
                )
            )
        except ValueError as error:
            raise LearningError(f"{where}: {error}") from error


def _columns(path: Path, first: int, batch: "pyarrow.RecordBatch") -> dict[str, Sequence[object]]:
    """Raises LearningError for times beyond those that there are, and in zones that nobody knows."""
    try:
        return {name: batch.column(name).to_pylist() for name in batch.schema.names}
    except (ValueError, OverflowError, LookupError) as error:
        last = first + batch.num_rows - 1
        raise LearningError(f"{path}: rows {first} to {last}: {error}") from error


def _id(name: str, value: object) -> str:
    """Numbers with a point are other ids than those without, and nobody writes the former."""
    if isinstance(value, str):
        return value
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    raise ValueError(f"{name} is {type(value).__name__}: text or a whole number is wanted")


def _parquet_time(moment: object) -> int:
    if isinstance(moment, datetime):
        # A time without a zone is in UTC, as Parquet keeps it.
        offset = moment.utcoffset()
        naive = moment.replace(tzinfo=None)
        seconds = (naive - datetime(1970, 1, 1)).total_seconds()
        return told_event_time(
            round((seconds - (offset.total_seconds() if offset else 0.0)) * 1000), f"'{moment}'"
        )
    if isinstance(moment, int | float | str) and not isinstance(moment, bool):
        return told_event_time(moment)
    raise ValueError(f"{str(moment)[:40]!r} is no time")


def _number(value: object) -> float:
    if value is None:
        return math.nan
    if isinstance(value, int | float):
        return float(value)
    raise ValueError(f"{str(value)[:40]!r} is no number")
