"""`penchant items`: the catalogue."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import click
import msgspec

from encoders.settings import FetchSettings
from streams.commands.labels import ask, label
from streams.commands.unknown import warn_of_unknown
from streams.delivery import CheckedProducer
from streams.encoded_wait import EncodedItems
from streams.exits import EXIT_FAILED
from streams.groups import living
from streams.item_sources import Bad, Found, ItemSource, Skipped, open_source
from streams.kafka import admin_client
from streams.progress import progress
from streams.reading import read, whole
from streams.records import Item
from streams.settings import Settings

NAMED = 3
"""Items that are told by name, of many."""
SHOWN_CHARACTERS = 200
"""Of a reference, which may hold a whole medium."""


@click.group()
def items() -> None:
    """Load items into the catalogue, withdraw them, and label them."""


items.add_command(label)
items.add_command(ask)


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
    Times are epoch milliseconds or RFC 3339, such as 2026-01-31T12:00:00Z. In a folder, files that share a
    stem are one item, and a sub-folder's name is its category.

    Exits with 1 where a line is bad, or an item was not delivered or, with --wait, not encoded; the good
    ones are sent all the same. A medium that is masked is told, and no failure; one that fetch.schemes or
    fetch.file_roots leave out is warned of before.
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
    """Withdraw items: they are recommended no more.

    Reads the catalogue first, to tell of ids that are not in it; those are no failure.
    """
    producer = CheckedProducer(settings, settings.topics.items, _complain)
    unknown = _unknown(settings, item_ids)
    for item_id in item_ids:
        producer.send(item_id, item_id.encode(), None)
        if item_id in unknown:
            _complain(f"{item_id}: no such item in {settings.topics.items}")
    tally = producer.finish()
    others = f", {len(unknown):,} of them unknown" if unknown else ""
    click.echo(f"{tally.delivered:,} items withdrawn{others}")
    if tally.lost:
        raise click.exceptions.Exit(EXIT_FAILED)


def _unknown(settings: Settings, item_ids: Iterable[str]) -> set[str]:
    """Those of the ids that are not in the catalogue: never were, or were withdrawn."""
    wanted = {item_id.encode(): item_id for item_id in item_ids}
    there: set[bytes] = set()
    stretches = whole(settings, settings.topics.items, settled=False)
    with progress("reading the catalogue", sum(each.end - each.first for each in stretches)) as tell:
        for record in read(settings, stretches, tell):
            if record.key in wanted:
                (there.discard if record.value is None else there.add)(record.key)
    return {item_id for key, item_id in wanted.items() if key not in there}


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
            _warn_of_nobody(settings)
            with progress("encoding", len(tally.places)) as tell:
                encoded.wait(tally.places, waiting["wait_seconds"], tell)
            click.echo(f"{len(tally.places):,} items encoded")
            for (modality, reason), item_ids in sorted(encoded.masked.items()):
                _complain(f"masked: {modality} {reason}: {_some(item_ids)}")
    finally:
        if encoded is not None:
            encoded.close()
    return counts


def _read(
    source: ItemSource, path: Path, strict: bool, settings: Settings, producer: CheckedProducer | None
) -> Counts:
    counts = Counts()
    reach = _ReachWarning(settings.fetch)
    with progress(f"reading {path}", source.total) as tell:
        for entry in source:
            tell(entry.position)
            match entry:
                case Found():
                    counts.good += 1
                    reach.look_at(entry.item)
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
    warn_of_unknown(source.unknown, "attributes")
    return counts


def _warn_of_nobody(settings: Settings) -> None:
    group = f"{settings.app.name}-encode"
    if not living(admin_client(settings.kafka), [group]):
        _complain(f"no encode worker is there (the group {group} is empty); `penchant encode` starts one")


def _some(item_ids: list[str]) -> str:
    named = ", ".join(sorted(item_ids)[:NAMED])
    return named if len(item_ids) <= NAMED else f"{named} and {len(item_ids) - NAMED:,} more"


def _others(counts: Counts) -> str:
    skipped = f", {counts.skipped:,} files skipped" if counts.skipped else ""
    return f"{counts.bad:,} bad{skipped}"


class _ReachWarning:
    """The encode worker refuses schemes that are not allowed and files outside its roots, which nobody would
    guess from items that lack something; nor is a medium of unknown modality told as masked."""

    def __init__(self, fetch: FetchSettings) -> None:
        self._schemes = fetch.schemes
        self._roots = [Path(root).resolve() for root in fetch.file_roots]
        self._warned: set[str] = set()

    def look_at(self, item: Item) -> None:
        """Warn of the first medium of each scheme that is not allowed, and of the first file outside."""
        for medium in item.media:
            scheme = (medium.uri or "").partition(":")[0].lower()
            if medium.uri is None or scheme in self._warned:
                continue
            problem = self._problem(medium.uri, scheme)
            if problem:
                self._warned.add(scheme)
                shown = medium.uri[:SHOWN_CHARACTERS]
                _complain(
                    f"warning: {item.item_id}: {shown}: {problem}; the encode worker refuses such media "
                    "unless its own settings allow them"
                )

    def _problem(self, uri: str, scheme: str) -> str:
        if scheme not in self._schemes:
            return f"{scheme[:20]} is none of fetch.schemes ({', '.join(self._schemes)})"
        if scheme != "file":
            return ""
        file = Path(unquote(urlsplit(uri).path))
        inside = any(file.is_relative_to(root) for root in self._roots)
        return "" if inside else "it is under none of fetch.file_roots"


def _complain(problem: str) -> None:
    click.echo(problem, err=True)
