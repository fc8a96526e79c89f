"""The classic encoders by name, as the settings speak of them."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from encoders.base import Encoder, Float32
from encoders.classics_artifact import Classics, load_classics
from encoders.errors import ArtifactError
from encoders.settings import EncoderSettings

Image = NDArray[np.uint8]


def _bag_of_words(_: EncoderSettings, __: torch.device) -> Encoder[str]:
    from encoders.text.bag_of_words import BagOfWords

    return BagOfWords()


def _tf_idf(settings: EncoderSettings, _: torch.device) -> Encoder[str]:
    from encoders.text.tf_idf import TfIdf

    return TfIdf(_counted(settings).frequency)


def _document_vectors(settings: EncoderSettings, _: torch.device) -> Encoder[str]:
    from encoders.text.document_vectors import DocumentVectors
    from encoders.text.tf_idf import TfIdf

    classics = _counted(settings)
    return DocumentVectors(TfIdf(classics.frequency), classics.axes)


def _word_vectors(settings: EncoderSettings, _: torch.device) -> Encoder[str]:
    from encoders.text.word_vectors import from_file, of_minilm

    return from_file(Path(settings.word_vectors)) if settings.word_vectors else of_minilm()


def _colour_histogram(_: EncoderSettings, __: torch.device) -> Encoder[Image]:
    from encoders.image.histogram import ColourHistogram

    return ColourHistogram()


def _hog(_: EncoderSettings, __: torch.device) -> Encoder[Image]:
    from encoders.image.hog import Hog

    return Hog()


def _visual_words(kind: str, settings: EncoderSettings, _: torch.device) -> Encoder[Image]:
    from encoders.image.visual_words import VisualWords

    words = load_classics(Path(settings.classics)).words if settings.classics else {}
    return VisualWords(kind, words.get(kind))


def _mfcc(_: EncoderSettings, __: torch.device) -> Encoder[Float32]:
    from encoders.audio.statistics import mfcc_statistics

    return mfcc_statistics()


def _spectrogram(_: EncoderSettings, __: torch.device) -> Encoder[Float32]:
    from encoders.audio.statistics import spectrogram_statistics

    return spectrogram_statistics()


def _intensity(_: EncoderSettings, __: torch.device) -> Encoder[Float32]:
    from encoders.audio.statistics import intensity_statistics

    return intensity_statistics()


def _counted(settings: EncoderSettings) -> Classics:
    if not settings.classics:
        raise ArtifactError(
            f"encoders.text is '{settings.text}', which needs the words of a catalogue counted: "
            "run `penchant train classics` and set encoders.classics to its folder"
        )
    classics = load_classics(Path(settings.classics))
    if not classics.frequency.documents:
        raise ArtifactError(f"encoders.classics: {settings.classics} was fitted on items without texts")
    return classics


TEXT: dict[str, Callable[[EncoderSettings, torch.device], Encoder[str]]] = {
    "bag-of-words": _bag_of_words,
    "tf-idf": _tf_idf,
    "word-vectors": _word_vectors,
    "document-vectors": _document_vectors,
}
IMAGE: dict[str, Callable[[EncoderSettings, torch.device], Encoder[Image]]] = {
    "colour-histogram": _colour_histogram,
    "hog": _hog,
    "sift": partial(_visual_words, "sift"),
    "surf": partial(_visual_words, "surf"),
}
AUDIO: dict[str, Callable[[EncoderSettings, torch.device], Encoder[Float32]]] = {
    "mfcc": _mfcc,
    "spectrogram": _spectrogram,
    "intensity": _intensity,
}
