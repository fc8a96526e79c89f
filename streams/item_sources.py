"""Items from files: JSON lines, CSV, or a folder of media. A bad line is told, and the rest goes on."""

import csv
import io
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol
from urllib.parse import urlsplit

import msgspec
from msgspec.structs import replace

from state.unknown_fields import UnknownFields
from streams.encode.parsing import parse_item
from streams.errors import InputError, RecordError
from streams.raw import RawRecord
from streams.records import Item, MediaReference, fields_of

JSON_LINES = (".jsonl", ".ndjson", ".json")
TABLES = {".csv": ",", ".tsv": "\t"}
SEPARATOR = "|"

LISTS = ("tags", "categories", "media")
TEXTS = ("item_id", "title", "description", "published_at", "expires_at")
BOOLEANS = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
LONGEST_FIELD = 1_000_000


@dataclass(frozen=True, slots=True)
class Found:
    """A good item. `where` is its file and line; `position` how far the source is read, in its unit."""

    where: str
    position: int
    item: Item


@dataclass(frozen=True, slots=True)
class Bad:
    """What cannot be an item, and why."""

    where: str
    position: int
    problem: str


@dataclass(frozen=True, slots=True)
class Skipped:
    """A file that is no medium."""

    where: str
    position: int


Entry = Found | Bad | Skipped


class ItemSource(Protocol):
    """Items in a fixed order. `total` is where `position` ends, in `unit`; `unknown` counts what is read."""

    @property
    def total(self) -> int: ...

    @property
    def unknown(self) -> UnknownFields: ...

    @property
    def unit(self) -> Literal["bytes", "files"]: ...

    def __iter__(self) -> Iterator[Entry]: ...


def open_source(path: Path) -> ItemSource:
    """The source that fits the path. Raises InputError for a path that is not there or of no known kind."""
    if path.is_dir():
        from streams.media_folder import MediaFolder

        return MediaFolder(path)
    if not path.is_file():
        raise InputError(f"{path}: no such file or folder")
    if path.suffix.lower() in JSON_LINES:
        return JsonLines(path)
    if path.suffix.lower() in TABLES:
        return ItemTable(path)
    kinds = ", ".join((*JSON_LINES, *TABLES))
    raise InputError(f"{path}: items are read from a folder of media, or a file that ends in one of {kinds}")


class JsonLines:
    """One item a line, as on the topic `items`; empty lines are passed over."""

    unit: Literal["bytes", "files"] = "bytes"

    def __init__(self, path: Path) -> None:
        self._path = path
        self._decoder = msgspec.json.Decoder(Item)
        self.total = path.stat().st_size
        self.unknown = UnknownFields(fields_of(Item))

    def __iter__(self) -> Iterator[Entry]:
        position = 0
        with self._path.open("rb") as file:
            for number, line in enumerate(file, 1):
                position += len(line)
                if line.strip():
                    yield self._entry(f"{self._path}:{number}", position, line)

    def _entry(self, where: str, position: int, line: bytes) -> Entry:
        try:
            item = self._decoder.decode(line)
        except msgspec.ValidationError as error:
            return Bad(where, position, str(error))
        except (msgspec.MsgspecError, ValueError, RecursionError) as error:
            return Bad(where, position, f"not JSON: {error}")
        entry = checked(where, position, item, self._path.parent)
        if isinstance(entry, Found):
            self.unknown.look_at(line)
        return entry


class ItemTable:
    """CSV or TSV with a head line. Columns tags, categories and media hold lists, separated by `|`.

    Columns that are no field of an item become its attributes; empty cells are left out.
    """

    unit: Literal["bytes", "files"] = "bytes"

    def __init__(self, path: Path) -> None:
        self._path = path
        self.total = path.stat().st_size
        self.unknown = UnknownFields(fields_of(Item))

    def __iter__(self) -> Iterator[Entry]:
        csv.field_size_limit(LONGEST_FIELD)
        with self._path.open("rb") as raw:
            # Bytes that are not UTF-8 spoil their own line alone: they come as lone surrogates.
            text = io.TextIOWrapper(raw, encoding="utf-8-sig", errors="surrogateescape", newline="")
            rows = csv.reader(text, delimiter=TABLES[self._path.suffix.lower()], strict=True)
            columns = [name.strip() for name in next(rows, [])]
            self._check(columns)
            while True:
                start = rows.line_num + 1
                try:
                    cells = next(rows)
                except StopIteration:
                    return
                except csv.Error as error:
                    yield Bad(f"{self._path}:{start}", raw.tell(), str(error))
                    continue
                if any(cell.strip() for cell in cells):
                    yield self._entry(f"{self._path}:{start}", raw.tell(), columns, cells)

    def _check(self, columns: list[str]) -> None:
        if "item_id" not in columns:
            raise InputError(f"{self._path}:1: no column item_id; the first line must name the columns")
        twice = {name for name in columns if columns.count(name) > 1}
        if twice:
            raise InputError(f"{self._path}:1: columns named twice: {', '.join(sorted(twice))}")

    def _entry(self, where: str, position: int, columns: list[str], cells: list[str]) -> Entry:
        if len(cells) != len(columns):
            return Bad(where, position, f"{len(cells)} cells, but {len(columns)} columns")
        try:
            item = msgspec.convert(_fields(zip(columns, cells, strict=True)), Item)
        except (msgspec.ValidationError, ValueError) as error:
            return Bad(where, position, str(error))
        return checked(where, position, item, self._path.parent)


def _fields(cells: Iterable[tuple[str, str]]) -> dict[str, object]:
    fields: dict[str, object] = {}
    attributes: dict[str, str | float | bool] = {}
    for column, raw in cells:
        value = raw.strip()
        if not value and column != "item_id":
            continue
        if column in LISTS:
            parts = [part.strip() for part in value.split(SEPARATOR) if part.strip()]
            fields[column] = [{"uri": part} for part in parts] if column == "media" else parts
        elif column == "available":
            if value.lower() not in BOOLEANS:
                raise ValueError(f"available: {value!r} is neither true nor false")
            fields[column] = BOOLEANS[value.lower()]
        elif column in TEXTS:
            fields[column] = value
        else:
            attributes[column] = _scalar(value)
    return {**fields, "attributes": attributes}


def _scalar(value: str) -> str | float | bool:
    if value.lower() in ("true", "false"):
        return value.lower() == "true"
    try:
        number = float(value)
    except ValueError:
        return value
    return number if number - number == 0 else value


def checked(where: str, position: int, item: Item, base: Path) -> Found | Bad:
    """The item as the encode worker will take it, paths among its media made `file:` URIs under `base`."""
    try:
        item = replace(item, media=[_medium(medium, base) for medium in item.media])
        key = item.item_id.encode()
        record = RawRecord("items", 0, 0, 0, key, msgspec.json.encode(item))
        parse_item(record)
    except (RecordError, ValueError) as error:
        return Bad(where, position, str(error))
    return Found(where, position, item)


def _medium(medium: MediaReference, base: Path) -> MediaReference:
    if sum(part is not None for part in (medium.uri, medium.text, medium.item_id)) != 1:
        raise ValueError("media: each has exactly one of uri, text and item_id")
    if medium.uri is None or urlsplit(medium.uri).scheme:
        return medium
    path = (base / medium.uri).resolve()
    if not path.is_file():
        raise ValueError(f"media: {path}: no such file")
    return replace(medium, uri=path.as_uri())
