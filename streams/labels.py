"""Labels of the catalogue's items: those that are there, those of a file, and those inferred from them."""

import csv
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple, Self

import msgspec
import numpy as np

from state.errors import StateError
from state.items import EncodedItem
from state.labels.asking import most_useful
from state.labels.inference import Belief, infer
from state.labels.material import Float32, content_vectors, labels_of
from streams.errors import InputError
from streams.reading import Stretch, read
from streams.settings import Settings

NEEDED = ("item_id", "label")
_decoder = msgspec.msgpack.Decoder(EncodedItem)


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
            except msgspec.DecodeError:
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
            table = csv.DictReader(file)
            missing = [name for name in NEEDED if name not in (table.fieldnames or ())]
            if missing:
                raise InputError(
                    f"{path}:1: no column {', '.join(missing)}; its first line names the columns"
                )
            labels = {}
            for entry in table:
                item_id, label = ((entry[name] or "").strip() for name in NEEDED)
                if label and not item_id:
                    raise InputError(f"{path}:{table.line_num}: a label without an item_id")
                if label:
                    labels[item_id] = label
            return labels
    except (OSError, UnicodeError, csv.Error) as error:
        raise InputError(f"{path}: cannot be read as a table: {error}") from error


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
    belief = _believed(shelf, labels, vectors) if labels else None
    names, sure = belief.likeliest() if belief else ([""] * len(shelf.ids), np.zeros(len(shelf.ids)))
    return [
        Found(shelf.ids[row], names[row], float(sure[row]))
        for row in most_useful(vectors, belief, known, count).tolist()
    ]


def _believed(shelf: Shelf, labels: dict[str, str], vectors: Float32) -> Belief:
    given = labels_of([labels.get(item_id) for item_id in shelf.ids])
    try:
        return infer(vectors, given)
    except StateError as error:
        raise InputError(str(error)) from error
