"""A catalogue encoded in bulk: read, fetched and encoded in windows, the next one fetched meanwhile."""

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import NamedTuple, TypeVar

from encoders.base import MODALITIES, Encoded, Medium, Modality
from streams.encode.items import ItemPlan, plan_item
from streams.encode.media import EncodedMedia, Found, MediaEncoder, Wanted, guess_modality
from streams.encode.parsing import NewItem
from streams.item_sources import Bad, Entry, Skipped
from streams.item_sources import Found as FoundItem
from streams.raw import RawRecord

FETCH_SECONDS = 600.0
"""For all media of a window: nobody waits for them, so only `fetch.timeout_seconds` of each bounds them."""
MOST_ITEMS = 512
FIRST_MEDIA, MOST_MEDIA = 16, 256
WINDOW_BYTES = 64 * 1024 * 1024
"""What the contents of a window may weigh, by the weight of those before; two windows are in memory."""

T = TypeVar("T")


class Planned(NamedTuple):
    """An item, and where in the catalogue it is."""

    where: str
    plan: ItemPlan


@dataclass(slots=True)
class Window:
    """Some entries of the catalogue, one after the other."""

    position: int = 0
    items: list[Planned] = field(default_factory=list)
    bad: list[Bad] = field(default_factory=list)
    skipped: int = 0


class Failure(NamedTuple):
    """An item or a medium that could not be encoded."""

    where: str
    problem: str
    item_id: str = ""
    modality: str = ""
    reason: str = ""
    reference: str = ""


def windows(entries: Iterable[Entry], pace: "Pace") -> Iterator[Window]:
    """The entries in windows of bounded numbers of items and of media to fetch."""
    window, media = Window(), 0
    for entry in entries:
        window.position = entry.position
        match entry:
            case Bad():
                window.bad.append(entry)
            case Skipped():
                window.skipped += 1
            case FoundItem():
                plan = _plan(entry)
                window.items.append(Planned(entry.where, plan))
                media += sum(one.uri is not None for one in plan.wanted)
        if len(window.items) >= MOST_ITEMS or media >= pace.media:
            yield window
            window, media = Window(), 0
    if window.position:
        yield window


class Pace:
    """How many media a window may fetch, so that their contents have room in memory."""

    def __init__(self) -> None:
        self.media = FIRST_MEDIA

    def learn(self, contents: Iterable[Medium]) -> None:
        """From the contents of a window: twice as many at most as before."""
        sizes = [len(each.content) for each in contents]
        if sizes:
            affordable = WINDOW_BYTES * len(sizes) // max(1, sum(sizes))
            self.media = max(1, min(affordable, 2 * self.media, MOST_MEDIA))


def encoded_windows(entries: Iterable[Entry], media: MediaEncoder) -> Iterator[tuple[Window, EncodedMedia]]:
    """Each window with its media encoded. Raises EncodersError for what concerns all."""
    pace = Pace()

    def found() -> Iterator[tuple[Window, Found]]:
        for window in windows(entries, pace):
            wanted = (one for item in window.items for one in item.plan.wanted)
            found = media.find(wanted, FETCH_SECONDS)
            pace.learn(medium for one, medium in found.contents.items() if one.uri is not None)
            yield window, found

    for window, each in one_ahead(found()):
        yield window, media.encode_found(each)


def one_ahead(each: Iterator[T]) -> Iterator[T]:
    """The same, the next one made in a thread of its own while the last one is worked on."""
    with ThreadPoolExecutor(1, "one-ahead") as thread:
        coming = thread.submit(next, each, None)
        while (here := coming.result()) is not None:
            coming = thread.submit(next, each, None)
            yield here


def failures(window: Window, media: EncodedMedia) -> Iterator[Failure]:
    """What of a window could not be encoded: bad lines first, then item by item its media."""
    for bad in window.bad:
        yield Failure(bad.where, bad.problem)
    for where, plan in window.items:
        item_id = plan.new.item.item_id
        for code, reason in plan.masked.items():
            yield Failure(where, "too many media", item_id, MODALITIES[code], reason)
        for wanted in plan.wanted:
            for modality, reason, problem in _faults(wanted, media):
                yield Failure(where, problem, item_id, modality, reason, wanted.uri or "")


def _faults(wanted: Wanted, media: EncodedMedia) -> Iterator[tuple[str, str, str]]:
    """Modality, reason and problem of all that is wrong with a medium."""
    encoded = media.encoded[wanted]
    if wanted in media.unfetched:
        error = media.unfetched[wanted]
        yield modality_of(wanted, encoded), error.reason, error.detail
    elif encoded.fatal is not None:
        yield modality_of(wanted, encoded), "crash", encoded.fatal
    else:
        for modality, reason in encoded.masked.items():
            yield modality, reason, encoded.details.get(modality, "")


def modality_of(wanted: Wanted, encoded: Encoded) -> Modality:
    """What a medium is, as far as that can be told; a video is one even where only its sound was used."""
    found = {*encoded.vectors, *encoded.masked}
    if wanted.modality is not None:
        return wanted.modality
    if Modality.VIDEO in found:
        return Modality.VIDEO
    return next(iter(found), None) or guess_modality(wanted.uri or "") or Modality.TEXT


def _plan(entry: FoundItem) -> ItemPlan:
    record = RawRecord("items", 0, 0, 0, entry.item.item_id.encode(), None)
    return plan_item(NewItem(record, entry.item, None, None))
