"""`penchant items label` and `penchant items ask`: categories for items that have none."""

import csv
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

import click

from streams.errors import InputError
from streams.labels import Shelf, asked, inferred, read_labels
from streams.progress import progress
from streams.reading import whole
from streams.settings import Settings

COLUMNS = ("item_id", "label", "confidence", "inferred")
_STDOUT = Path("-")
_GIVEN = click.option(
    "--from",
    "given",
    type=click.Path(path_type=Path),
    help="A table of item_id and label, before an item's own category; empty labels are passed over.",
)
_INTO = click.option(
    "--into", type=click.Path(path_type=Path), default=_STDOUT, help="File to write, if not standard output."
)


@click.command()
@_GIVEN
@click.option(
    "--least",
    type=click.FloatRange(0, 1),
    default=0.6,
    show_default=True,
    help="Confidence below which an item is left without a label.",
)
@_INTO
@click.pass_obj
def label(settings: Settings, given: Path | None, least: float, into: Path) -> None:
    """Infer a category for each item that carries none, from those that do and from what all show.

    Reads items.encoded whole; an item's first category is its label. Writes a table of item_id, label,
    confidence and inferred, which is `yes` for every line: nothing is sent to the catalogue.
    """
    shelf, labels = _read(settings, given)
    found = inferred(shelf, labels)
    kept = [each for each in found if each.label and each.confidence >= least]
    _write(into, COLUMNS, [(each.item_id, each.label, f"{each.confidence:.3f}", "yes") for each in kept])
    click.echo(
        f"{len(shelf.ids):,} items, {len(labels):,} with a label; {len(kept):,} labels inferred, "
        f"{len(found) - len(kept):,} items left without, being below {least:g}",
        err=True,
    )


@click.command()
@_GIVEN
@click.option("--count", type=click.IntRange(min=1), default=20, show_default=True, help="Items to name.")
@_INTO
@click.pass_obj
def ask(settings: Settings, given: Path | None, count: int, into: Path) -> None:
    """Name the items whose labels would help most to infer those of the others.

    Those that are doubtful, stand for many others, and are unlike each other, the most useful first: a table
    of item_id, title, what is believed of it so far, and an empty label to fill in. `penchant items label
    --from` takes the file as it is.
    """
    shelf, labels = _read(settings, given)
    rows = [
        (each.item_id, shelf.titles[each.item_id], each.label, f"{each.confidence:.3f}", "")
        for each in asked(shelf, labels, count)
    ]
    _write(into, ("item_id", "title", "believed", "confidence", "label"), rows)


def _read(settings: Settings, given: Path | None) -> tuple[Shelf, dict[str, str]]:
    stretches = whole(settings, settings.topics.items_encoded, settled=False)
    with progress("reading the catalogue", sum(each.end - each.first for each in stretches)) as tell:
        shelf = Shelf.read(settings, stretches, tell)
    if not shelf.ids:
        raise InputError(
            f"{settings.topics.items_encoded}: no item is there; load some with `penchant items load`"
        )
    labels = dict(shelf.own)
    if given is not None:
        for item_id, name in read_labels(given).items():
            if item_id in shelf.titles:
                labels[item_id] = name
            else:
                click.echo(f"{given}: {item_id}: no such item in the catalogue", err=True)
    return shelf, labels


def _write(into: Path, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    if into == _STDOUT:
        csv.writer(sys.stdout, lineterminator="\n").writerows([columns, *rows])
        return
    try:
        with into.open("w", encoding="utf-8", newline="") as file:
            csv.writer(file, lineterminator="\n").writerows([columns, *rows])
    except OSError as error:
        raise InputError(f"{into}: cannot be written ({error.strerror})") from error
