"""Labels of the catalogue's items: those that are there, those of a file, and those inferred from them."""

import csv
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple, Protocol, Self

import msgspec
import numpy as np

from state.errors import UNREADABLE, StateError
from state.items import EncodedItem
from state.labels.asking import most_useful
from state.labels.inference import Belief, infer
from state.labels.material import Float32, content_vectors, labels_of
from streams.errors import InputError
from streams.reading import Stretch, read
from streams.settings import Settings

NEEDED = ("item_id", "label")
_decoder = msgspec.msgpack.Decoder(EncodedItem)


class Table(Protocol):
    """Rows of a table, and how many lines were read."""

    line_num: int

    def __iter__(self) -> Iterator[list[str]]: ...
    def __next__(self) -> list[str]: ...


class Found(NamedTuple):
    """What is believed of an item; '' and 0 where no label reaches it."""

    item_id: str
    label: str
    confidence: float


@dataclass
class Shelf:
    """The items of the catalogue that have not been withdrawn, in order of their ids."""

    ids: list[str] = field(default_factory=list)
    vectors: list[dict[int, bytes]] = field(default_factory=list)
    titles: dict[str, str] = field(default_factory=dict)
    own: dict[str, str] = field(default_factory=dict)
    """The first category of those that have one."""

    @classmethod
    def of(cls, items: Iterable[EncodedItem]) -> Self:
        made = cls()
        for item in sorted(items, key=lambda each: each.item_id):
            made.ids.append(item.item_id)
            made.vectors.append(item.vectors)
            made.titles[item.item_id] = item.title
            if item.categories:
                made.own[item.item_id] = item.categories[0]
        return made

    @classmethod
    def read(
        cls, settings: Settings, stretches: Sequence[Stretch], tell: Callable[[int], None] = lambda _: None
    ) -> Self:
        """Of `items.encoded`. Raises TopicError; what is no item is passed over."""
        held: dict[bytes, EncodedItem] = {}
        for record in read(settings, stretches, tell):
            key = record.key or b""
            try:
                item = None if record.value is None else _decoder.decode(record.value)
            except UNREADABLE:
                continue
            if item is None or item.withdrawn:
                held.pop(key, None)
            else:
                held[key] = item
        return cls.of(held.values())


def read_labels(path: Path) -> dict[str, str]:
    """A table with the columns item_id and label; lines without a label are passed over. Raises InputError
    with the line."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            # Strict, as an open quote takes in all lines behind it otherwise.
            return _labels(path, csv.reader(file, strict=True))
    except (OSError, UnicodeError, csv.Error) as error:
        raise InputError(f"{path}: cannot be read as a table: {error}") from error


def _labels(path: Path, table: Table) -> dict[str, str]:
    names = next(table, [])
    missing = [name for name in NEEDED if name not in names]
    if missing:
        raise InputError(f"{path}:1: no column {', '.join(missing)}; its first line names the columns")
    twice = [name for name in NEEDED if names.count(name) > 1]
    if twice:
        raise InputError(f"{path}:1: two columns {', '.join(twice)}")
    at_id, at_label = map(names.index, NEEDED)
    labels: dict[str, str] = {}
    for cells in table:
        where = f"{path}:{table.line_num}"
        if len(cells) > len(names):
            raise InputError(f"{where}: {len(cells)} cells, but the first line names {len(names)} columns")
        item_id, label = (cells[at].strip() if at < len(cells) else "" for at in (at_id, at_label))
        if not label:
            continue
        if not item_id:
            raise InputError(f"{where}: a label without an item_id")
        if not label.isprintable():
            raise InputError(f"{where}: {label[:40]!r} cannot be printed")
        if labels.setdefault(item_id, label) != label:
            raise InputError(f"{where}: {item_id} has the label {labels[item_id]} already, and {label} here")
    return labels


def inferred(shelf: Shelf, labels: dict[str, str]) -> list[Found]:
    """What is believed of each item without a label, the surest first. Raises InputError."""
    belief = _believed(shelf, labels, content_vectors(shelf.vectors))
    names, sure = belief.likeliest()
    found = [
        Found(item_id, name, float(share))
        for item_id, name, share in zip(shelf.ids, names, sure.tolist(), strict=True)
        if item_id not in labels
    ]
    return sorted(found, key=lambda each: (-each.confidence, each.item_id))


def asked(shelf: Shelf, labels: dict[str, str], count: int) -> list[Found]:
    """The items whose labels would help most, with what is believed of them so far."""
    known = np.array([row for row, item_id in enumerate(shelf.ids) if item_id in labels], np.int64)
    vectors = content_vectors(shelf.vectors)
    belief = _believed(shelf, labels, vectors) if len(set(labels.values())) > 1 else None
    names, sure = belief.likeliest() if belief else ([""] * len(shelf.ids), np.zeros(len(shelf.ids)))
    return [
        Found(shelf.ids[row], names[row], float(sure[row]))
        for row in most_useful(vectors, belief, known, count).tolist()
    ]


def _believed(shelf: Shelf, labels: dict[str, str], vectors: Float32) -> Belief:
    given = labels_of([labels.get(item_id) for item_id in shelf.ids])
    if len(given.names) == 1:
        raise InputError(
            f"all labels are {given.names[0]}: nothing can be told apart by one; label items of "
            "another kind, too"
        )
    try:
        return infer(vectors, given)
    except StateError as error:
        raise InputError(str(error)) from error
