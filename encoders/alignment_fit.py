"""Fits an alignment to a catalogue, without labels and in closed form: generalised canonical correlation.

Each item is seen in up to three views: text; picture, be it an image or a video; sound. MAXVAR generalised
canonical correlation (Kettenring, Biometrika 1971), made regular by a ridge, finds the 128 coordinates of the
items that the views agree on most; a ridge regression then takes each view to them. Coordinates are ordered
and scaled by how much the views agree.

The class names of ImageNet join as items of small weight, each with its name as text and as its picture's
class: they keep words that the catalogue lacks where the text encoder has them, and a catalogue of a few
dozen items from fitting itself alone.
"""

from collections.abc import Iterable, Mapping, Sequence
from itertools import islice
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from encoders.alignment import Alignment, ModalityMap, digest, mean_class_vectors, unit
from encoders.base import SHARED_DIM, Float32, Medium, Modality
from encoders.errors import ArtifactError
from encoders.native import NativeMedium, NativeVector, join

WHITENING_RIDGE = 1.0
"""Of the projections in which the views meet. Each whitens its view: what varies much in one modality counts
no more there than what varies little, down to about as much as one item makes."""
MAP_RIDGE, SOUND_RIDGE = 0.25, 1.0
"""Of the regressions that take a view to the coordinates; sounds are fewer than the rest."""
AGREEMENT_POWER = 2.0
"""Of the eigenvalue that a coordinate is scaled by: what the views disagree on counts little."""
NAME_WEIGHT = 0.4
"""Length of a class name's rows, where an item's have length 1."""
VIEW_RANK = 256
"""Principal components of a view that take part in finding the coordinates; it bounds time and memory."""
MOST_ITEMS = 10_000
"""A larger catalogue is fitted on a fixed random sample of it."""
FEWEST_ITEMS = 8
FEWEST_VIDEOS = 16
FEWEST_SOUNDS = 16
"""With fewer sounds the built-in map stays for them, on its own columns, which the rest then leave alone."""

ITEMS_AT_ONCE = 64
"""Items whose media are handed to the bank in one call."""

FitItem = Mapping[Modality, Sequence[NativeVector]]
"""One item's native vectors by modality, any number of each."""
Float64 = NDArray[np.float64]


class View(NamedTuple):
    """One view of the items: the rows that it has, in the items' order, and how they are made."""

    present: NDArray[np.bool_]
    """[n] which items have it."""
    rows: Float32
    """[items present, d]"""
    centre: Float32
    bridge_centre: Float32 | None = None
    """Mean class vector, float32 [t], of a view whose rows end in a class vector."""
    ridge: float = MAP_RIDGE
    """Of its regression."""


class Bank(Protocol):
    """What is needed of `encoders.bank.EncoderBank`."""

    def natives(self, media: Sequence[Medium]) -> list[NativeMedium | None]: ...

    def builtin_alignment(self) -> Alignment: ...


def catalogue_vectors(bank: Bank, catalogue: Iterable[Sequence[Medium]]) -> list[FitItem]:
    """The native vectors of each item's media, a few items at a time; what cannot be used is left out."""
    items: list[FitItem] = []
    remaining = iter(catalogue)
    while part := list(islice(remaining, ITEMS_AT_ONCE)):
        natives = iter(bank.natives([medium for media in part for medium in media]))
        items.extend(_merged(list(islice(natives, len(media)))) for media in part)
    return items


def fit_from_media(bank: Bank, items: Iterable[Sequence[Medium]]) -> Alignment:
    """The alignment of a catalogue from its items' media; media that cannot be used are left out.

    The bank's vector cache keeps what is encoded here, so that serving the same media needs no encoding.
    Raises as `fit`.
    """
    return fit(catalogue_vectors(bank, items), bank.builtin_alignment())


def _merged(media: Sequence[NativeMedium | None]) -> FitItem:
    vectors: dict[Modality, list[NativeVector]] = {}
    for medium in media:
        if medium is not None:
            for modality, vector in medium.vectors.items():
                vectors.setdefault(modality, []).append(vector)
    return vectors


def fit(items: Sequence[FitItem], builtin: Alignment) -> Alignment:
    """The alignment of a catalogue; `builtin` gives the class names and the encoders' versions.

    Raises ArtifactError for fewer than 8 items with a text and a picture: nothing would bridge the two.
    """
    sample = _sampled(items)
    classes = builtin.class_vectors
    # Key frames go through the image encoder; another encoder of videos makes vectors of another kind.
    own_video = builtin.maps[Modality.VIDEO] is not builtin.maps[Modality.IMAGE]
    seen = (Modality.IMAGE,) if own_video else (Modality.IMAGE, Modality.VIDEO)
    text, pictures, sound = _text(sample), _pictures(sample, classes, seen), _sound(sample)
    both = int((text.present & pictures.present).sum()) if text is not None and pictures is not None else 0
    if text is None or pictures is None or both < FEWEST_ITEMS:
        raise ArtifactError(
            f"{both} items have both a text and a picture; an alignment is fitted on {FEWEST_ITEMS} or more: "
            "leave encoders.alignment empty for the built-in one"
        )
    names = len(classes)
    views = [_with_names(text, NAME_WEIGHT * classes)]
    views.append(_with_name_pictures(pictures, classes))
    if own_video:
        views.append(_with_name_pictures(_videos(sample, classes), classes))
    if sound is not None:
        views.append(_without_names(sound, names))
    builtin_sound = builtin.maps[Modality.AUDIO]
    columns = np.arange(SHARED_DIM) if sound is not None else _unused_columns(builtin_sound)
    coordinates = _coordinates(views, len(columns))
    maps = [_regressed(view, coordinates, columns) for view in views]
    by_modality = {
        Modality.TEXT: maps[0],
        Modality.IMAGE: maps[1],
        Modality.VIDEO: maps[2] if own_video else maps[1],
        Modality.AUDIO: maps[-1] if sound is not None else builtin_sound,
    }
    return Alignment(f"fitted-{digest(by_modality, classes)}", by_modality, classes, builtin.encoders)


def _sampled(items: Sequence[FitItem]) -> Sequence[FitItem]:
    if len(items) <= MOST_ITEMS:
        return items
    chosen = np.sort(np.random.default_rng(0).permutation(len(items))[:MOST_ITEMS])
    return [items[row] for row in chosen]


def _text(items: Sequence[FitItem]) -> View | None:
    return _plain_view([list(item.get(Modality.TEXT, ())) for item in items], 1)


def _sound(items: Sequence[FitItem]) -> View | None:
    view = _plain_view([list(item.get(Modality.AUDIO, ())) for item in items], FEWEST_SOUNDS)
    return None if view is None else view._replace(ridge=SOUND_RIDGE)


def _plain_view(vectors: Sequence[Sequence[NativeVector]], fewest: int) -> View | None:
    present = np.array([bool(each) for each in vectors], bool)
    if present.sum() < fewest:
        return None
    native = join([vector for each in vectors for vector in each]).vectors
    centre = native.mean(axis=0)
    return View(present, _mean_rows(unit(native - centre), vectors), centre)


def _videos(items: Sequence[FitItem], class_vectors: Float32) -> View:
    videos = _pictures(items, class_vectors, (Modality.VIDEO,))
    count = 0 if videos is None else int(videos.present.sum())
    if videos is None or count < FEWEST_VIDEOS:
        raise ArtifactError(
            f"encoders.video makes vectors of its own, and {count} items have a video; they are fitted on "
            f"{FEWEST_VIDEOS} or more: set encoders.video to key-frames"
        )
    return videos


def _pictures(
    items: Sequence[FitItem], class_vectors: Float32, modalities: Sequence[Modality]
) -> View | None:
    """What one encoder of pictures saw. Rows are [features, class vector], or the features alone where the
    encoder knows no classes."""
    vectors = [[vector for modality in modalities for vector in item.get(modality, ())] for item in items]
    present = np.array([bool(each) for each in vectors], bool)
    if not present.any():
        return None
    batch = join([vector for each in vectors for vector in each])
    if batch.classes is None:
        return _plain_view(vectors, 1)
    centre = batch.vectors.mean(axis=0)
    meant = unit(mean_class_vectors(class_vectors, batch.classes))
    bridge_centre = meant.mean(axis=0)
    rows = np.concatenate([unit(batch.vectors - centre), meant - bridge_centre], axis=1)
    return View(present, _mean_rows(rows, vectors), centre, bridge_centre)


def _mean_rows(rows: Float32, vectors: Sequence[Sequence[NativeVector]]) -> Float32:
    """One row per item that has any: the mean of its own."""
    counts = np.array([len(each) for each in vectors if each])
    starts = np.concatenate([[0], np.cumsum(counts)[:-1]])
    means: Float32 = (np.add.reduceat(rows, starts, axis=0) / counts[:, None]).astype(np.float32)
    return means


def _name_pictures(pictures: View, class_vectors: Float32) -> Float32:
    """What a picture of each class would be: no features, and the class's own vector."""
    features = np.zeros((len(class_vectors), len(pictures.centre)), np.float32)
    return np.concatenate([features, class_vectors], axis=1)


def _with_name_pictures(pictures: View, class_vectors: Float32) -> View:
    if pictures.bridge_centre is None:
        return _without_names(pictures, len(class_vectors))
    return _with_names(pictures, NAME_WEIGHT * _name_pictures(pictures, class_vectors))


def _without_names(view: View, names: int) -> View:
    return view._replace(present=np.concatenate([view.present, np.zeros(names, bool)]))


def _with_names(view: View, rows: Float32) -> View:
    present = np.concatenate([view.present, np.ones(len(rows), bool)])
    return view._replace(present=present, rows=np.concatenate([view.rows, rows]))


def _coordinates(views: Sequence[View], dims: int) -> Float64:
    """[n, dims]: leading eigenvectors of the sum of the views' ridge projections, scaled by AGREEMENT_POWER.

    An item in one view counts as much as one in all.
    """
    shares = 1.0 / np.sqrt(np.maximum(np.sum([view.present for view in views], axis=0), 1))
    parts = []
    for view in views:
        part = np.zeros((len(shares), min(VIEW_RANK, view.rows.shape[1])))
        part[view.present] = _projection_root(view.rows) * shares[view.present, None]
        parts.append(part)
    stacked = np.concatenate(parts, axis=1)
    values, vectors = np.linalg.eigh(stacked.T @ stacked)
    values, vectors = values[::-1][:dims], vectors[:, ::-1][:, :dims]
    signs = np.sign(vectors[np.abs(vectors).argmax(axis=0), np.arange(vectors.shape[1])])
    # Eigenvectors of the sum are stacked @ vectors / sqrt(values).
    coordinates: Float64 = stacked @ (vectors * signs) * np.maximum(values, 0.0) ** (AGREEMENT_POWER - 0.5)
    return coordinates


def _projection_root(rows: Float32) -> Float64:
    """[n, rank]: root @ root' is the ridge projection rows (rows'rows + WHITENING_RIDGE)^-1 rows'."""
    exact = rows.astype(np.float64)
    values, vectors = np.linalg.eigh(exact.T @ exact)
    values, vectors = values[::-1][:VIEW_RANK], vectors[:, ::-1][:, :VIEW_RANK]
    root: Float64 = exact @ vectors / np.sqrt(np.maximum(values, 0.0) + WHITENING_RIDGE)
    return root


def _regressed(view: View, coordinates: Float64, columns: NDArray[np.int64]) -> ModalityMap:
    """Ridge regression of the coordinates on the rows of a view, into the given columns."""
    rows = view.rows.astype(np.float64)
    gram = rows.T @ rows + view.ridge * np.eye(rows.shape[1])
    solved = np.linalg.solve(gram, rows.T @ coordinates[view.present])
    weights = np.zeros((rows.shape[1], SHARED_DIM), np.float32)
    weights[:, columns] = solved
    if view.bridge_centre is None:
        return ModalityMap(view.centre, weights)
    features, bridge = np.split(weights, [len(view.centre)])
    return ModalityMap(view.centre, features, bridge, -view.bridge_centre @ bridge)


def _unused_columns(mapping: ModalityMap) -> NDArray[np.int64]:
    """Columns of the shared space that the map leaves at 0."""
    return np.flatnonzero(~np.abs(mapping.weights).any(axis=0))
