"""Datasets from where they lie: a folder in the RecBole format, a Parquet file, JSON lines.

JSON lines are records of `interactions`, one a line; those without an item say nothing here and are passed
over. Parquet has the columns user_id, item_id and timestamp (a time, or epoch milliseconds), and may have
action, value (or rating), dwell_seconds and watched_fraction. Beside both may lie items: `items.jsonl` next
to the file, records of the topic `items`, of which title, description, tags, categories and published_at are
read.
"""

import math
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import msgspec

from state.errors import LearningError
from state.events import ACTIONS
from state.learning.dataset import Dataset, Facts, dataset_of
from state.learning.gathering import Event, Gathering, ReadingOptions
from state.learning.recbole import read_recbole

if TYPE_CHECKING:
    import pyarrow

__all__ = ["ReadingOptions", "read_dataset"]

ITEMS = "items.jsonl"
_CODES = {str(action): code for code, action in enumerate(ACTIONS)}
_BATCH = 65_536
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


def read_dataset(path: Path, options: ReadingOptions | None = None) -> Dataset:
    """What lies at a path. Raises LearningError, which names the file and the line."""
    chosen = options or ReadingOptions()
    if path.is_dir():
        return read_recbole(path, chosen)
    if not path.exists():
        raise LearningError(f"{path}: there is no such file or folder")
    gathering = Gathering(chosen)
    if path.suffix == ".inter":
        return read_recbole(path.parent, chosen)
    if path.suffix == ".parquet":
        _read_parquet(path, gathering)
    elif path.suffix in (".jsonl", ".ndjson", ".json"):
        _read_lines(path, gathering)
    else:
        raise LearningError(f"{path}: wanted a folder with a .inter file, or a .parquet or .jsonl file")
    return dataset_of(path.stem, gathering.finished(), _items_beside(path))


def _read_lines(path: Path, gathering: Gathering) -> None:
    for where, line in _records(path, _Line):
        if line.item_id is None:
            continue
        code = _CODES.get(line.action)
        if code is None:
            raise LearningError(f"{where}: unknown action {line.action[:40]!r}")
        gathering.add(
            Event(
                line.user_id,
                line.item_id,
                _milliseconds(line.timestamp, where),
                code,
                _or_nan(line.value),
                _or_nan(line.dwell_seconds),
                _or_nan(line.watched_fraction),
            )
        )


def _or_nan(value: float | None) -> float:
    return math.nan if value is None else value


def _items_beside(path: Path) -> dict[str, Facts]:
    beside = path.with_name(ITEMS)
    if not beside.exists() or beside == path:
        return {}
    facts = {}
    for where, item in _records(beside, _Item):
        topics = tuple(dict.fromkeys((*item.categories, *item.tags)))
        text = ". ".join(part for part in (item.title, item.description) if part)
        published = None if item.published_at is None else _milliseconds(item.published_at, where)
        facts[item.item_id] = Facts(text, topics, published)
    return facts


def _records(path: Path, kind: type[Shape]) -> Iterator[tuple[str, Shape]]:
    """Each record with where it stands."""
    decoder = msgspec.json.Decoder(kind)
    try:
        with path.open("rb") as lines:
            for number, line in enumerate(lines, 1):
                if line.strip():
                    try:
                        yield f"{path}: line {number}", decoder.decode(line)
                    except msgspec.DecodeError as error:
                        raise LearningError(f"{path}: line {number}: {error}") from error
    except OSError as error:
        raise LearningError(f"{path}: {error}") from error


def _milliseconds(value: int | float | str, where: str) -> int:
    if isinstance(value, str):
        try:
            moment = datetime.fromisoformat(value)
        except ValueError as error:
            raise LearningError(f"{where}: {value[:40]!r} is no time in RFC 3339") from error
        if moment.tzinfo is None:
            raise LearningError(f"{where}: {value[:40]!r} has no offset from UTC")
        return round(moment.timestamp() * 1000)
    if not math.isfinite(value):
        raise LearningError(f"{where}: {value!r} is no time")
    return round(value)


def _read_parquet(path: Path, gathering: Gathering) -> None:
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
            missing = {"user_id", "item_id", "timestamp"} - names
            if missing:
                raise LearningError(f"{path}: no column {', '.join(sorted(missing))}")
            wanted = sorted(names & {*_Line.__struct_fields__, "rating"})
            row = 1
            for batch in file.iter_batches(_BATCH, columns=wanted):
                _take_batch(path, row, batch, gathering)
                row += batch.num_rows
    except (ArrowException, OSError) as error:
        raise LearningError(f"{path}: {error}") from error


def _take_batch(path: Path, first: int, batch: "pyarrow.RecordBatch", gathering: Gathering) -> None:
    columns = {name: batch.column(name).to_pylist() for name in batch.schema.names}
    nothing = [None] * batch.num_rows
    actions = columns.get("action", nothing)
    values = columns.get("value", columns.get("rating", nothing))
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
        gathering.add(
            Event(
                str(user),
                str(item),
                _parquet_time(moment, where),
                code,
                _number(values[place], where),
                _number(dwells[place], where),
                _number(watched[place], where),
            )
        )


def _parquet_time(moment: object, where: str) -> int:
    if isinstance(moment, datetime):
        # A time without a zone is in UTC, as Parquet keeps it.
        offset = moment.utcoffset()
        naive = moment.replace(tzinfo=None)
        seconds = (naive - datetime(1970, 1, 1)).total_seconds()
        return round((seconds - (offset.total_seconds() if offset else 0.0)) * 1000)
    if isinstance(moment, int | float | str):
        return _milliseconds(moment, where)
    raise LearningError(f"{where}: {str(moment)[:40]!r} is no time")


def _number(value: object, where: str) -> float:
    if value is None:
        return math.nan
    if isinstance(value, int | float):
        return float(value)
    raise LearningError(f"{where}: {str(value)[:40]!r} is no number")
