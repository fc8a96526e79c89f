"""Images by vision models, and by the image towers of two-tower models (CLIP, SigLIP)."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from encoders.base import Float32, Modality
from encoders.device import on_device
from encoders.hub.files import ModelFiles
from encoders.hub.pooling import finished, pooled
from encoders.hub.towers import TEXT_PARTS, NamedClasses, has_towers, named_classes, naming, tower_output
from encoders.hub.weights import Weights, image_processor, load_weights, placed, version_of, without
from encoders.image.classes import CLASSES, ClassShares, top_shares

Pixels = NDArray[np.uint8]
BATCH_PICTURES = 16


class HubImage:
    """Images uint8 [h, w, 3] RGB to float32 [n, dim], seen as the model's own image processor has them."""

    modality = Modality.IMAGE

    def __init__(self, files: ModelFiles, weights: Weights) -> None:
        self.name = files.name
        self._hub = files.hub
        self._files = files
        self._processor = image_processor(files)
        self._pooler_is_trained = weights.pooler_is_trained
        self._model = placed(without(weights.model, *TEXT_PARTS), files, convolutional=True)
        self._batch = files.hub.batch_cost or BATCH_PICTURES
        hub = files.hub
        options = (hub.pooling, hub.dimensions, hub.normalise, *naming(files, weights.model))
        self.version = version_of(files, weights, "image", *options)
        self.dim = self._vectors([np.zeros((32, 32, 3), np.uint8)]).shape[1]
        if hub.dimensions > self.dim:
            raise files.problem(f"its vectors have {self.dim} dimensions", "make `dimensions` smaller")

    def encode(self, batch: Sequence[Pixels]) -> Float32:
        """Float32 [n, dim]."""
        vectors = np.empty((len(batch), self.dim), np.float32)
        for start in range(0, len(batch), self._batch):
            vectors[start : start + self._batch] = self._vectors(batch[start : start + self._batch])
        return vectors

    @torch.inference_mode()
    def _vectors(self, images: Sequence[Pixels]) -> Float32:
        made = self._processor(images=list(images), return_tensors="pt", input_data_format="channels_last")
        pixels = on_device(made["pixel_values"], self._files.device, self._files.dtype)
        return finished(self._read(pixels), self._hub.dimensions, self._hub.normalise)

    def _read(self, pixels: torch.Tensor) -> torch.Tensor:
        if hasattr(self._model, "get_image_features"):
            return tower_output(self._model.get_image_features(pixel_values=pixels))
        return last_layer(self._model(pixel_values=pixels), self._hub.pooling, self._pooler_is_trained)


class HubImageTower(HubImage):
    """The image tower of a two-tower model, which tells the classes of ImageNet by their names."""

    def __init__(self, files: ModelFiles, weights: Weights) -> None:
        # The settings may cut the vectors; the classes are told by whole ones.
        self._classes: NamedClasses = named_classes(files, weights.model)
        super().__init__(files, weights)
        if files.hub.dimensions or not files.hub.normalise:
            raise files.problem("its two towers share one space of unit vectors",
                                "leave `dimensions` and `normalise` as they are")  # fmt: skip

    def encode_with_classes(self, batch: Sequence[Pixels]) -> tuple[Float32, ClassShares]:
        """Vectors float32 [n, dim] and the likeliest classes."""
        vectors, probabilities = self.encode_with_probabilities(batch)
        return vectors, top_shares(probabilities)

    def encode_with_probabilities(self, batch: Sequence[Pixels]) -> tuple[Float32, Float32]:
        """Vectors float32 [n, dim] and class probabilities float32 [n, classes]."""
        vectors = self.encode(batch)
        if not len(vectors):
            return vectors, np.empty((0, CLASSES), np.float32)
        return vectors, self._classes.probabilities(vectors)

    def class_weights(self) -> Float32:
        """The vectors of the classes' names, float32 [classes, dim]."""
        return self._classes.weights


def hub_image(files: ModelFiles) -> HubImage:
    """The encoder of images that fits the model. Raises ArtifactError where it cannot be loaded."""
    from transformers import AutoModel

    weights = load_weights(files, AutoModel)
    return (HubImageTower if has_towers(weights.model) else HubImage)(files, weights)


def last_layer(output: Any, pooling: str, pooler_is_trained: bool) -> torch.Tensor:
    """A vision model's answer to vectors [n, d].

    `auto` takes the model's own pooled output where that was trained, else the first token, and the mean
    where the last layer is a map [n, d, h, w].
    """
    own = getattr(output, "pooler_output", None)
    if pooling == "auto" and own is not None and pooler_is_trained:
        return own.flatten(1)  # type: ignore[no-any-return]
    hidden: torch.Tensor = output.last_hidden_state
    if hidden.dim() == 4:
        hidden, pooling = hidden.flatten(2).transpose(1, 2), "mean" if pooling in ("auto", "cls") else pooling
    mask = torch.ones(hidden.shape[:2], dtype=torch.int64, device=hidden.device)
    return pooled(hidden, mask, "cls" if pooling == "auto" else pooling)  # type: ignore[arg-type]
