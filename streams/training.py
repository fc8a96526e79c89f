"""Fitting to one's own catalogue: its media are fetched, decoded and encoded as the encode worker would."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from encoders.alignment import Alignment
from encoders.alignment_artifact import save_alignment
from encoders.alignment_figures import Judged, Spread, held_out
from encoders.alignment_fit import FitItem, catalogue_vectors, fit
from encoders.alignment_unseen import unseen_vectors
from encoders.bank import EncoderBank
from encoders.base import Medium, Modality
from encoders.classics_artifact import Classics, save_classics
from encoders.classics_fit import ClassicsFit
from encoders.errors import EncodersError, MediumError
from encoders.fetch import Fetcher
from encoders.fetch.request import FetchRequest
from encoders.media.decoded import Decoded
from encoders.media.pool import DecodePool
from state.artifact import Artifact, save_artifact
from state.errors import StateError
from state.fusions.learning import Learned, learn
from state.prior import content_prior
from streams.encode.configured_media import configured_bank
from streams.encode.instance import Instance
from streams.encode.items import describing_text
from streams.encode.references import read_references
from streams.errors import InputError
from streams.records import Item
from streams.settings import Settings

FETCH_SECONDS = 30.0

Tell = Callable[[int], None]


class Fitted(NamedTuple):
    """An alignment, and what it finds on items held out, where that was asked for."""

    alignment: Alignment
    figures: dict[str, Spread]


def fit_alignment(
    items: Sequence[Item], settings: Settings, target: Path, tell: Tell, measure: bool = False
) -> Fitted:
    """Fit an alignment to the items, without labels, and save it in the folder `target`.

    What is encoded here is kept in the data folder's vector cache, where the encode worker finds it.
    `tell` is told how many items were read. To `measure` is to fit five times more, to parts of the items;
    the manifest keeps the figures. Raises InputError where the items are too few to fit on.
    """
    with ExitStack() as stack:
        bank = _bank(settings, stack)
        fetcher = Fetcher(settings.fetch)
        stack.callback(fetcher.close)
        try:
            vectors = catalogue_vectors(bank, _media(items, fetcher, tell))
            builtin = bank.builtin_alignment()
            alignment = fit(vectors, builtin)
            figures = held_out(Judged(vectors, vectors), builtin) if measure else {}
            save_alignment(alignment, target, _counts(vectors) | _named(figures))
        except EncodersError as error:
            raise InputError(str(error)) from error
    return Fitted(alignment, figures)


class Trained(NamedTuple):
    """A model artifact, and how well parts of items find each other before and after training."""

    artifact: Artifact
    learned: Learned


def fit_fusion(items: Sequence[Item], settings: Settings, kind: str, target: Path, tell: Tell) -> Trained:
    """Train a fusion of modalities on the items, without labels, and save it as a model artifact in `target`.

    The rest of the artifact is the content prior. `encoders.alignment` is to be what serves: where it is
    fitted, the items are taken for those that it was fitted to. Raises InputError for too few items.
    """
    with ExitStack() as stack:
        bank = _bank(settings, stack)
        fetcher = Fetcher(settings.fetch)
        stack.callback(fetcher.close)
        try:
            vectors = catalogue_vectors(bank, _media(items, fetcher, tell))
            learned = learn(kind, *unseen_vectors(bank.alignment, vectors, bank.builtin_alignment()))
            artifact = replace(content_prior(), items=learned.fusion, space=bank.version)
            artifact = replace(artifact, version=f"{artifact.version}-{kind}-{artifact.fingerprint:08x}")
            save_artifact(artifact, str(target), {"items": str(len(items))})
        except (EncodersError, StateError) as error:
            raise InputError(str(error)) from error
    return Trained(artifact, learned)


def _bank(settings: Settings, stack: ExitStack) -> EncoderBank:
    instance = stack.enter_context(Instance(Path(settings.app.data)))
    return configured_bank(settings, instance.folder, stack)


def _counts(vectors: Sequence[FitItem]) -> dict[str, float]:
    """Of what an alignment was fitted to, for its manifest."""
    counts = {str(modality): float(sum(modality in item for item in vectors)) for modality in Modality}
    return {"items": float(len(vectors)), **counts}


def _named(figures: dict[str, Spread]) -> dict[str, float]:
    parts = {"": 0, " deviation": 1}
    return {
        f"{name}{part}": round(figure[at], 4)
        for name, figure in figures.items()
        for part, at in parts.items()
    }


def fit_classics(items: Sequence[Item], settings: Settings, target: Path, tell: Tell) -> Classics:
    """Learn what the classic encoders ask of a catalogue, and save it in the folder `target`.

    `tell` is told how many items were read. Raises InputError where there is nothing to learn from.
    """
    with ExitStack() as stack:
        pool = DecodePool(settings.encoders)
        stack.callback(pool.close)
        fetcher = Fetcher(settings.fetch)
        stack.callback(fetcher.close)
        learned = ClassicsFit()
        try:
            for media in _media(items, fetcher, tell):
                learned.add(one for one in pool.decode(media) if isinstance(one, Decoded))
            classics = learned.finished()
            save_classics(classics, target)
        except EncodersError as error:
            raise InputError(str(error)) from error
    return classics


def _media(items: Sequence[Item], fetcher: Fetcher, tell: Tell) -> Iterator[list[Medium]]:
    """Media of each item; those that cannot be had are left out."""
    for number, item in enumerate(items):
        text = describing_text(item)
        wanted = read_references(item.media).wanted
        texts = [text, *(one.text for one in wanted if one.text)]
        media = [Medium(each.encode(errors="replace"), Modality.TEXT) for each in texts if each]
        remote = [one for one in wanted if one.uri is not None]
        requests = [FetchRequest(one.uri or "", one.sha256) for one in remote]
        for one, content in zip(remote, fetcher.fetch_many(requests, FETCH_SECONDS), strict=True):
            if not isinstance(content, MediumError):
                media.append(Medium(content, one.modality, one.uri or ""))
        yield media
        tell(number + 1)
