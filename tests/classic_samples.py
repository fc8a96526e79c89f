"""What the classic encoders need beside their settings, made on the spot from the samples."""

import tempfile
from functools import cache
from pathlib import Path

import cv2
import msgspec
import numpy as np

from encoders import classics
from encoders.base import Modality
from encoders.classics_artifact import save_classics
from encoders.classics_fit import ClassicsFit
from encoders.media.decoded import Decoded
from encoders.settings import EncoderSettings
from encoders.text.terms import terms
from tests.encoder_samples import ODD, ORDINARY

HAS_SURF = hasattr(cv2, "xfeatures2d")
LACKING = set() if HAS_SURF else {"surf"}
FITTED = ("tf-idf", "document-vectors")


@cache
def scratch() -> tempfile.TemporaryDirectory[str]:
    """Lives as long as the process."""
    return tempfile.TemporaryDirectory(prefix="penchant-classics-")


@cache
def learned_folder() -> str:
    """What the classic encoders learn of the samples."""
    fit = ClassicsFit()
    fit.add(Decoded(Modality.TEXT, text=text) for text in ORDINARY[Modality.TEXT] + ODD[Modality.TEXT])
    fit.add(Decoded(Modality.IMAGE, image=image) for image in ORDINARY[Modality.IMAGE])
    folder = Path(scratch().name) / "learned"
    save_classics(fit.finished(), folder)
    return str(folder)


@cache
def word_file() -> str:
    """Vectors of the words in the ordinary texts, in the format of word2vec."""
    words = sorted({term for text in ORDINARY[Modality.TEXT] for term in terms(text)})
    random = np.random.default_rng(1)
    lines = [f"{word} {' '.join(map(str, random.standard_normal(50)))}" for word in words]
    path = Path(scratch().name) / "words.vec"
    path.write_text("\n".join([f"{len(words)} 50", *lines]))
    return str(path)


def settings_for(name: str, settings: EncoderSettings) -> EncoderSettings:
    """With what the encoder needs: all classics of these samples where it starts with `fitted-` or cannot do
    without, a file of word vectors where it starts with `file-`."""
    kind, _, rest = name.partition("-")
    if kind == "file":
        return msgspec.structs.replace(settings, word_vectors=word_file())
    if kind == "fitted" or name in FITTED:
        return msgspec.structs.replace(settings, text=rest or name, classics=learned_folder())
    return settings


NAMES = [
    *(f"text:{name}" for name in classics.TEXT),
    *(f"image:{name}" for name in classics.IMAGE if name not in LACKING),
    *(f"audio:{name}" for name in classics.AUDIO),
    "video:colour-histogram",
    "text:file-word-vectors",
    "image:fitted-sift",
]
"""The classics as the contract suite names them."""
