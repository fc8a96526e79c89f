"""`penchant items`: the catalogue."""

from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import click
import msgspec

from encoders.settings import FetchSettings
from streams.delivery import CheckedProducer
from streams.encoded_wait import EncodedItems
from streams.exits import EXIT_FAILED
from streams.item_sources import Bad, Found, ItemSource, Skipped, open_source
from streams.progress import progress
from streams.records import Item
from streams.settings import Settings


@click.group()
def items() -> None:
    """Load items into the catalogue, and withdraw them."""


class Counts(msgspec.Struct):
    good: int = 0
    bad: int = 0
    skipped: int = 0


@items.command()
@click.argument("path", type=click.Path(path_type=Path))
@click.option("--strict", is_flag=True, help="Stop at the first bad line.")
@click.option("--check", is_flag=True, help="Only read and check; send nothing.")
@click.option("--wait", is_flag=True, help="Wait until all are encoded.")
@click.option(
    "--wait-seconds",
    type=click.FloatRange(min=0, min_open=True),
    default=120.0,
    show_default=True,
    help="Give --wait up when no item is encoded for so long.",
)
@click.pass_obj
def load(settings: Settings, /, path: Path, strict: bool, check: bool, **waiting: Any) -> None:
    """Load items from PATH: JSON lines (.jsonl), a table (.csv, .tsv), or a folder of media.

    A table has a line of column names: item_id, title, description, tags, categories, media,
    published_at, expires_at, available; any other column is an attribute. Lists are separated by `|`.
    In a folder, files that share a stem are one item, and a sub-folder's name is its category.
    """
    source = open_source(path)
    if check:
        counts = _read(source, path, strict, settings, None)
        click.echo(f"{counts.good:,} good items, {_others(counts)}; nothing sent")
    else:
        counts = _load(source, path, settings, strict, waiting)
    if counts.bad:
        raise click.exceptions.Exit(EXIT_FAILED)


@items.command()
@click.argument("item_ids", metavar="ITEM_ID...", nargs=-1, required=True)
@click.pass_obj
def withdraw(settings: Settings, item_ids: tuple[str, ...]) -> None:
    """Withdraw items: they are recommended no more."""
    producer = CheckedProducer(settings, settings.topics.items, _complain)
    for item_id in item_ids:
        producer.send(item_id, item_id.encode(), None)
    tally = producer.finish()
    click.echo(f"{tally.delivered:,} items withdrawn")
    if tally.lost:
        raise click.exceptions.Exit(EXIT_FAILED)


def _load(
    source: ItemSource, path: Path, settings: Settings, strict: bool, waiting: dict[str, Any]
) -> Counts:
    producer = CheckedProducer(settings, settings.topics.items, _complain)
    encoded = EncodedItems(settings) if waiting["wait"] else None
    try:
        try:
            counts = _read(source, path, strict, settings, producer)
        finally:
            tally = producer.finish()
        click.echo(f"{tally.delivered:,} items sent to {settings.topics.items}, {_others(counts)}")
        counts.bad += tally.lost
        if encoded is not None and tally.places and not (strict and counts.bad):
            with progress("encoding", len(tally.places)) as tell:
                encoded.wait(tally.places, waiting["wait_seconds"], tell)
            click.echo(f"{len(tally.places):,} items encoded")
    finally:
        if encoded is not None:
            encoded.close()
    return counts


def _read(
    source: ItemSource, path: Path, strict: bool, settings: Settings, producer: CheckedProducer | None
) -> Counts:
    counts = Counts()
    roots = _RootWarning(settings.fetch)
    with progress(f"reading {path}", source.total) as tell:
        for entry in source:
            tell(entry.position)
            match entry:
                case Found():
                    counts.good += 1
                    roots.look_at(entry.item)
                    if producer is not None:
                        value = msgspec.json.encode(entry.item)
                        producer.send(entry.where, entry.item.item_id.encode(), value, keep_place=True)
                case Bad():
                    counts.bad += 1
                    _complain(f"{entry.where}: {entry.problem}")
                    if strict:
                        break
                case Skipped():
                    counts.skipped += 1
    return counts


def _others(counts: Counts) -> str:
    skipped = f", {counts.skipped:,} files skipped" if counts.skipped else ""
    return f"{counts.bad:,} bad{skipped}"


class _RootWarning:
    """The encode worker refuses files outside its roots, which nobody would guess from masked items."""

    def __init__(self, fetch: FetchSettings) -> None:
        self._roots = [Path(root).resolve() for root in fetch.file_roots]
        self._warned = False

    def look_at(self, item: Item) -> None:
        """Warn of the first file outside the roots."""
        for medium in item.media:
            if self._warned or medium.uri is None or not medium.uri.startswith("file:"):
                continue
            file = Path(unquote(urlsplit(medium.uri).path))
            if not any(file.is_relative_to(root) for root in self._roots):
                self._warned = True
                _complain(
                    f"warning: {file} is under none of fetch.file_roots; the encode worker refuses such "
                    "files unless its own settings allow them"
                )


def _complain(problem: str) -> None:
    click.echo(problem, err=True)
