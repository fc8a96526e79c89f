"""How comments sound: from -1, all against, over 0, neither, to 1, all for."""

import math
import re
import tomllib
from collections.abc import Mapping, Sequence
from functools import lru_cache
from importlib.resources import as_file, files
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import safe_open

from encoders.base import Encoder, Float32
from encoders.errors import ArtifactError
from encoders.hub.files import find_model
from encoders.hub.weights import load_weights, placed, quiet, read_part, version_of
from encoders.settings import EncoderSettings

Wide = NDArray[np.float64]

WEIGHTS = "sentiment.safetensors"
OFF = "off"
DEFAULT = "default"
MOST_CHARACTERS = 2_000
MOST_SENTENCES = 8
BATCH = 32
_FULL_STOP = re.compile(r"(?<=[.!?])\s+|[。！？；\n]+")
_RIDGE = 3.0
_GAIN = 0.9
"""The largest with which nine in ten of the neutral comments that were learned from stay within a quarter."""
_LABELS: Mapping[str, float] = {"positive": 1.0, "neutral": 0.0, "negative": -1.0}
_REVISION = 2


class Sentiment(Protocol):
    """Judges n texts at once."""

    @property
    def version(self) -> str:
        """Changes whenever a score would change."""
        ...

    def score(self, texts: Sequence[str]) -> list[float]:
        """One number from -1 to 1 per text, of two decimals; 0 for a text without a letter."""
        ...


class Learned(NamedTuple):
    """What a ridge regression learns from: vectors [n, dim + 1], labels [n], and how much each counts [n]."""

    vectors: Wide
    labels: Wide
    counts: Wide


class VectorSentiment:
    """A ridge regression on sentence vectors; of several sentences the mean.

    For the vectors of `sentiment.safetensors` it comes with its weights (tests/bench/fit_sentiment.py); for
    others it learns at start from the comments of `sentiment.toml`. With multilingual vectors it judges what
    it was never shown in that language. `encoder` gives float32 [n, dim] of unit length.
    """

    def __init__(self, encoder: Encoder[str]) -> None:
        self._encoder = encoder
        self._weights = _fitted_weights(encoder)
        self.version = f"vector-sentiment-{_REVISION} {encoder.version}"

    def score(self, texts: Sequence[str]) -> list[float]:
        """As `Sentiment.score`."""
        if not texts:
            return []
        parts = [sentences(text) for text in texts]
        flat = [part for of_text in parts for part in of_text]
        values = np.tanh(_GAIN * (with_one(self._encoder.encode(flat)) @ self._weights))
        ends = np.cumsum([len(of_text) for of_text in parts])
        means = [float(part.mean()) for part in np.split(values, ends[:-1])]
        return [_rounded(value, text) for value, text in zip(means, texts, strict=True)]


class ClassifierSentiment:
    """A `transformers` classifier of texts whose classes are names of sentiments, or stars.

    Raises ArtifactError for a model that cannot be loaded, or with classes of another kind.
    """

    def __init__(self, name: str, settings: EncoderSettings, device: torch.device) -> None:
        from transformers import AutoModelForSequenceClassification, AutoTokenizer

        files = find_model(name, settings.models[name], device)
        self._tokenizer = read_part(files, AutoTokenizer, "tokenizer")
        weights = load_weights(files, AutoModelForSequenceClassification)
        config = weights.model.config
        names = [str(config.id2label[number]) for number in range(config.num_labels)]
        values = class_values(names)
        if values is None:
            raise files.problem(
                f"its classes are {', '.join(names[:6])}", "name a classifier of sentiment or of stars"
            )
        self._values = torch.tensor(values)
        self._model = placed(weights.model, files)
        self._device = files.device
        self._most = min(int(self._tokenizer.model_max_length), 512)
        self.version = version_of(files, weights, "sentiment")

    def score(self, texts: Sequence[str]) -> list[float]:
        """As `Sentiment.score`."""
        found: list[float] = []
        for start in range(0, len(texts), BATCH):
            found += self._scores([text[:MOST_CHARACTERS] for text in texts[start : start + BATCH]])
        return found

    @torch.inference_mode()
    def _scores(self, texts: list[str]) -> list[float]:
        with quiet():
            inputs = self._tokenizer(
                texts, return_tensors="pt", padding=True, truncation=True, max_length=self._most
            ).to(self._device)
            shares = self._model(**inputs).logits.float().softmax(dim=-1).cpu()
        values = (shares @ self._values).tolist()
        return [_rounded(value, text) for value, text in zip(values, texts, strict=True)]


def configured_sentiment(name: str, settings: EncoderSettings, device: torch.device) -> Sentiment | None:
    """The judge that `encode.sentiment` names: `default`, one of `encoders.models`, or None for `off`.

    Raises ArtifactError.
    """
    if name == OFF:
        return None
    if name == DEFAULT:
        from encoders.text.use_multilingual import UseMultilingual

        return VectorSentiment(UseMultilingual(settings.threads))
    if name not in settings.models:
        raise ArtifactError(f"encode.sentiment is '{name}': say in encoders.models.{name} where it is")
    return ClassifierSentiment(name, settings, device)


def class_values(names: Sequence[str]) -> list[float] | None:
    """Per class of a classifier its number from -1 to 1, by its name; None where names tell nothing."""
    plain = [name.strip().lower() for name in names]
    if all(name.startswith("label_") for name in plain) and len(plain) in (2, 3):
        # What most classifiers without names mean, worst first.
        return [-1.0, 1.0] if len(plain) == 2 else [-1.0, 0.0, 1.0]
    if len(plain) > 1 and all(name[:1].isdigit() and "star" in name for name in plain):
        return [2.0 * (int(name.split()[0]) - 1) / (len(plain) - 1) - 1.0 for name in plain]
    values = [_value_of(name) for name in plain]
    known = [value for value in values if value is not None]
    return known if len(known) == len(values) and {1.0, -1.0} <= set(known) else None


def _value_of(name: str) -> float | None:
    for word, value in (("pos", 1.0), ("neg", -1.0), ("neu", 0.0), ("mixed", 0.0)):
        if word in name:
            return value
    return None


@lru_cache
def examples() -> tuple[list[str], list[float]]:
    """Comments written for learning, and their labels: 1, 0 or -1."""
    found: dict[str, Any] = tomllib.loads(
        files(__package__).joinpath("sentiment.toml").read_text(encoding="utf-8")
    )
    pairs = [
        (text, _LABELS[label])
        for parts in found.values()
        for label, lines in parts.items()
        for text in lines.strip().splitlines()
    ]
    return [text for text, _ in pairs], [label for _, label in pairs]


def sentences(text: str) -> list[str]:
    """A text's beginning by its full stops, MOST_SENTENCES at most: what follows counts with the last."""
    begins = text[:MOST_CHARACTERS]
    parts = [part for part in _FULL_STOP.split(begins, MOST_SENTENCES - 1) if len(part.strip()) > 1]
    return parts or [begins]


def with_one(vectors: Float32) -> Wide:
    """Vectors [n, dim] with a constant beside them, [n, dim + 1]."""
    wide = vectors.astype(np.float64)
    return np.concatenate([wide, np.full((len(wide), 1), 0.3)], axis=1)


def learned_weights(parts: Sequence[Learned], ridge: float) -> Wide:
    """Weights [dim + 1] of a ridge regression."""
    # In float64, so that a machine's order of summing changes no second decimal.
    square = ridge * np.eye(parts[0].vectors.shape[1])
    product = np.zeros(len(square))
    for part in parts:
        counted = part.vectors.T * part.counts
        square += counted @ part.vectors
        product += counted @ part.labels
    return np.asarray(np.linalg.solve(square, product), np.float64)


def _fitted_weights(encoder: Encoder[str]) -> Wide:
    with as_file(files(__package__).joinpath(WEIGHTS)) as path, safe_open(path, "numpy") as file:
        if file.metadata()["encoder"] == encoder.version:
            return np.asarray(file.get_tensor("weights"), np.float64)
    texts, labels = examples()
    vectors = with_one(encoder.encode(texts))
    return learned_weights([Learned(vectors, np.array(labels), np.ones(len(labels)))], _RIDGE)


def _rounded(value: float, text: str) -> float:
    if not any(character.isalpha() for character in text):
        return 0.0
    return round(value, 2) if math.isfinite(value) else 0.0
