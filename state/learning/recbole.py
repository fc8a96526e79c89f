"""Folders in the RecBole format: tables with tabs whose header names each column and its type.

    NAME.inter   user_id:token  item_id:token  rating:float  timestamp:float
    NAME.item    item_id:token  movie_title:token_seq  release_year:token  class:token_seq

Of events are read: `timestamp` (seconds or milliseconds since 1970, told apart by their size), `rating`,
`action` where there is such a column, `dwell_seconds`. Of items: columns of words whose name has title, name
or description in it make the text, together with the topics, which are all other columns of words;
`release_year`, `year` or `timestamp` tell when it was published. `NAME.user` is not read: no model here
takes what it tells.
"""

import math
import re
from codecs import BOM_UTF8
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from state.errors import LearningError
from state.events import ACTIONS
from state.learning.dataset import Dataset, Facts, dataset_of
from state.learning.gathering import LARGEST, Event, Gathering, ReadingOptions
from state.times import told_event_time, told_time
from state.unknown_fields import UnknownFields

TYPES = frozenset({"token", "token_seq", "float", "float_seq"})
SECONDS_BELOW = 1e11
"""Times below are seconds: as milliseconds they would lie before March 1973."""

EVENT_COLUMNS = (
    "user_id", "item_id", "timestamp", "rating", "action", "dwell_seconds", "watched_fraction"
)  # fmt: skip
_TITLES = ("title", "name", "description")
_YEARS = ("release_year", "year")
_YEAR = re.compile(r"\b(1[89]\d\d|20\d\d)\b")
_CODES = {str(action): code for code, action in enumerate(ACTIONS)}


class Column(NamedTuple):
    name: str
    kind: str


class Table:
    """One file, read line by line. Raises LearningError, naming file and line."""

    def __init__(self, path: Path) -> None:
        self.path = path
        header = next(self._lines(), (1, ""))[1]
        self.columns = [self._column(cell) for cell in header.split("\t")]
        self.place = {column.name: place for place, column in enumerate(self.columns)}
        if len(self.place) < len(self.columns):
            names = [column.name for column in self.columns]
            twice = next(name for name in names if names.count(name) > 1)
            raise self.error(1, f"two columns {twice!r}")

    def __iter__(self) -> Iterator[tuple[int, list[str]]]:
        """Number of the line, and its cells."""
        for number, line in self._lines():
            cells = line.split("\t")
            if number == 1 or cells == [""]:
                continue
            if len(cells) != len(self.columns):
                raise self.error(
                    number, f"{len(cells)} cells, but the header names {len(self.columns)} columns"
                )
            yield number, cells

    def _lines(self) -> Iterator[tuple[int, str]]:
        try:
            with self.path.open("rb") as lines:
                for number, line in enumerate(lines, 1):
                    text = line.removeprefix(BOM_UTF8) if number == 1 else line
                    yield number, text.rstrip(b"\r\n").decode()
        except UnicodeDecodeError as error:
            raise self.error(number, f"not UTF-8: {error.reason}") from error
        except OSError as error:
            raise LearningError(f"{self.path}: {error}") from error

    def needed(self, name: str) -> int:
        if name not in self.place:
            raise LearningError(f"{self.path}: line 1: no column {name!r} in the header")
        return self.place[name]

    def needed_id(self, name: str) -> int:
        place = self.needed(name)
        if self.columns[place].kind != "token":
            raise self.error(1, f"{name!r} must be a token, and is {self.columns[place].kind}")
        return place

    def number(self, line: int, text: str) -> float:
        """NaN for an empty cell."""
        try:
            return float(text) if text else math.nan
        except ValueError as error:
            raise self.error(line, f"{text[:40]!r} is no number") from error

    def error(self, line: int, problem: str) -> LearningError:
        return LearningError(f"{self.path}: line {line}: {problem}")

    def _column(self, cell: str) -> Column:
        name, _, kind = cell.partition(":")
        if kind not in TYPES:
            raise LearningError(
                f"{self.path}: line 1: {cell[:60]!r} is no typed column, such as user_id:token; "
                f"types are {', '.join(sorted(TYPES))}"
            )
        return Column(name, kind)


def read_inter(path: Path, options: ReadingOptions) -> Dataset:
    """One `.inter` file, with the `.item` file beside it where there is one. Raises LearningError."""
    gathering, unknown = Gathering(options), UnknownFields(EVENT_COLUMNS)
    table = Table(path)
    _read_events(table, gathering)
    unknown.count(table.place, len(gathering))
    described = path.with_suffix(".item")
    facts = _read_items(Table(described)) if described.exists() else {}
    told = unknown.told()
    return dataset_of(path.stem, gathering.finished(), facts, f"{path.name}: {told}" if told else "")


def _read_events(table: Table, gathering: Gathering) -> None:
    user, item, time = table.needed_id("user_id"), table.needed_id("item_id"), table.needed("timestamp")
    rating, action = table.place.get("rating"), table.place.get("action")
    dwell, watched = table.place.get("dwell_seconds"), table.place.get("watched_fraction")
    for line, cells in table:
        if not cells[user] or not cells[item]:
            raise table.error(line, "user_id and item_id may not be empty")
        code = None if action is None else _CODES.get(cells[action].lower())
        if action is not None and code is None:
            raise table.error(line, f"unknown action {cells[action][:40]!r}")
        value = math.nan if rating is None else table.number(line, cells[rating])
        if rating is not None and abs(value) > LARGEST:
            raise table.error(line, f"rating {cells[rating][:40]!r} is too large")
        try:
            gathering.add(
                Event(
                    cells[user],
                    cells[item],
                    told_event_time(_milliseconds(table, line, cells[time]), repr(cells[time][:40])),
                    code,
                    value,
                    math.nan if dwell is None else table.number(line, cells[dwell]),
                    math.nan if watched is None else table.number(line, cells[watched]),
                )
            )
        except ValueError as error:
            raise table.error(line, str(error)) from error


def _milliseconds(table: Table, line: int, text: str) -> float:
    moment = table.number(line, text)
    return moment * 1000 if moment < SECONDS_BELOW else moment


def _read_items(table: Table) -> dict[str, Facts]:
    key = table.needed("item_id")
    words = [(place, column) for place, column in enumerate(table.columns) if column.kind == "token_seq"]
    titled = [place for place, column in words if any(part in column.name for part in _TITLES)]
    topical = [place for place, _ in words if place not in titled]
    dated = next((table.place[name] for name in (*_YEARS, "timestamp") if name in table.place), None)
    facts = {}
    for line, cells in table:
        topics = tuple(dict.fromkeys(word for place in topical for word in cells[place].split() if word))
        parts = [cells[place] for place in titled]
        published = (
            None if dated is None else _published(table, line, cells[dated], table.columns[dated].name)
        )
        facts[cells[key]] = Facts(". ".join(part for part in parts if part), topics, published)
    return facts


def _published(table: Table, line: int, text: str, name: str) -> int | None:
    """Start of the year, or the time itself; None where neither can be read."""
    if name == "timestamp":
        moment = _milliseconds(table, line, text)
        if not math.isfinite(moment):
            return None
        try:
            return told_time("timestamp", round(moment), repr(text[:40]))
        except ValueError as error:
            raise table.error(line, str(error)) from error
    year = _YEAR.search(text)
    return None if year is None else round(datetime(int(year.group()), 1, 1, tzinfo=UTC).timestamp() * 1000)
