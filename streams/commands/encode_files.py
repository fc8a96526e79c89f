"""`penchant encode FILE...`: what becomes of one's own media."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import click
import msgspec
from msgspec.structs import replace

from encoders.bank import EncoderBank
from encoders.base import Encoded, Medium, Modality
from encoders.errors import EncodersError, MediumError
from encoders.fetch import Fetcher, FetchRequest
from encoders.known_media import KnownMedia
from encoders.layered_cache import LayeredCache
from encoders.media.pool import DecodePool
from streams.encode.configured_media import configured_cache
from streams.encode.instance import Instance
from streams.encode.media import MediaEncoder
from streams.errors import InputError, TopicError
from streams.progress import progress
from streams.settings import Settings
from streams.shelf import Shelf, broker_answers, encode_catalogue, read_items, read_medium
from streams.specimen import Bypass, Specimen, Stopwatch, look_at, with_nearest

FETCH_SECONDS = 30.0
LONGEST_LINE = 100


class Wishes(msgspec.Struct, frozen=True):
    """What the command was asked for."""

    files: tuple[str, ...] = ()
    texts: tuple[str, ...] = ()
    catalogue: Path | None = None
    neighbours: int = 5
    as_json: bool = False


def show_files(settings: Settings, wishes: Wishes) -> bool:
    """Prints what encoding each medium gives. False where one of them could not be used.

    Raises InputError for a file that cannot be read, and for encoders that cannot be loaded.
    """
    with ExitStack() as stack:
        try:
            return _show(settings, wishes, stack)
        except EncodersError as error:
            raise InputError(str(error)) from error


def _show(settings: Settings, wishes: Wishes, stack: ExitStack) -> bool:
    media = list(_media(settings, wishes, stack))
    cache = _cache(settings, stack) if wishes.catalogue is not None else None
    bypass, stopwatch = Bypass(cache), Stopwatch()
    pool = DecodePool(replace(settings.encoders, decode_workers=1))
    stack.callback(pool.close)
    bank = EncoderBank(settings.encoders, bypass, pool, stopwatch)
    shelf = _shelf(settings, wishes, bank, bypass, stack)
    bypass.passed_by = True
    usable = True
    for name, medium in media:
        encoded, specimen = _looked_at(name, medium, bank, stopwatch)
        if shelf is not None:
            specimen = with_nearest(specimen, encoded, shelf, wishes.neighbours)
        usable = usable and bool(encoded.vectors)
        if wishes.as_json:
            click.echo(msgspec.json.encode(specimen).decode())
        else:
            click.echo("\n".join(_lines(specimen)))
    return usable


def _media(
    settings: Settings, wishes: Wishes, stack: ExitStack
) -> Iterator[tuple[str, Medium | MediumError]]:
    for text in wishes.texts:
        yield text, Medium(text.encode(errors="replace"), Modality.TEXT, _short(text))
    remote = [name for name in wishes.files if _is_uri(name)]
    fetched: dict[str, bytes | MediumError] = {}
    if remote:
        fetcher = Fetcher(settings.fetch)
        stack.callback(fetcher.close)
        contents = fetcher.fetch_many([FetchRequest(name) for name in remote], FETCH_SECONDS)
        fetched = dict(zip(remote, contents, strict=True))
    for name in wishes.files:
        found = fetched[name] if name in fetched else read_medium(name, settings.fetch.max_bytes)
        yield name, found if isinstance(found, MediumError) else Medium(found, None, name)


def _is_uri(name: str) -> bool:
    return "://" in name or name.startswith("data:")


def _looked_at(
    name: str, medium: Medium | MediumError, bank: EncoderBank, stopwatch: Stopwatch
) -> tuple[Encoded, Specimen]:
    if isinstance(medium, Medium):
        return look_at(medium, bank, stopwatch)
    return Encoded(), Specimen(name, 0, "unknown", masked={"unknown": f"{medium.reason}: {medium.detail}"})


def _cache(settings: Settings, stack: ExitStack) -> LayeredCache:
    instance = stack.enter_context(Instance(Path(settings.app.data)))
    return configured_cache(settings, instance.folder, stack)


def _shelf(
    settings: Settings, wishes: Wishes, bank: EncoderBank, bypass: Bypass, stack: ExitStack
) -> Shelf | None:
    """Items to compare with: those of the named catalogue, else those of the broker, where one answers."""
    if wishes.neighbours == 0:
        return None
    if wishes.catalogue is not None:
        root = str(
            wishes.catalogue.resolve() if wishes.catalogue.is_dir() else wishes.catalogue.resolve().parent
        )
        fetcher = Fetcher(replace(settings.fetch, file_roots=(*settings.fetch.file_roots, root)))
        stack.callback(fetcher.close)
        media = MediaEncoder(bank, fetcher, FETCH_SECONDS, KnownMedia(bank, fetcher, bypass))
        with progress(f"encoding {wishes.catalogue}", _size(wishes.catalogue)) as tell:
            shelf = Shelf(encode_catalogue(wishes.catalogue, media, tell), bank.version)
        click.echo(f"{len(shelf):,} items of {wishes.catalogue}", err=True)
        return shelf
    if not broker_answers(settings):
        return None
    try:
        shelf = Shelf(read_items(settings, lambda _: None), bank.version)
    except TopicError as error:
        click.echo(f"no items to compare with: {error}", err=True)
        return None
    others = f"; {shelf.strangers:,} of other encoders or another alignment" if shelf.strangers else ""
    click.echo(f"{len(shelf):,} items of {settings.topics.items_encoded}{others}", err=True)
    return shelf


def _size(path: Path) -> int:
    from streams.item_sources import open_source

    return open_source(path).total


def _lines(specimen: Specimen) -> Iterator[str]:
    language = f", language {specimen.language}" if specimen.language else ""
    yield f"{specimen.name}  ({specimen.modality}, {specimen.size:,} bytes{language})"
    for modality, part in specimen.parts.items():
        yield (
            f"  {modality:<6} {part.native_dim} dimensions of length {part.native_norm:g}, "
            f"aligned to length {part.norm:g}  [{part.encoder}]"
        )
    for modality, reason in specimen.masked.items():
        yield f"  {modality:<6} masked, {reason}"
    for one in specimen.descriptions:
        yield f"  {one.kind.value:<10} {one.score:6.1%}  {_short(one.text)}"
    for neighbour in specimen.nearest:
        yield f"  nearest    {neighbour.cosine:6.3f}  {neighbour.item_id}  {_short(neighbour.title)}"
    if specimen.seconds:
        yield f"  time       {_times(specimen.seconds)}"


def _times(seconds: dict[str, float]) -> str:
    encoders = {name: each for name, each in seconds.items() if name != "all"}
    rest = seconds["all"] - sum(encoders.values())
    parts = [f"{name} {each * 1000:.1f}" for name, each in {"decoding": rest, **encoders}.items()]
    return f"{seconds['all'] * 1000:.1f} ms: {', '.join(parts)}"


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= LONGEST_LINE else f"{line[: LONGEST_LINE - 1]}…"
