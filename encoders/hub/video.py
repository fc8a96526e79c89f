"""Videos by video models (VideoMAE and its like) and the video tower of X-CLIP."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from encoders.base import Float32, Modality
from encoders.classifying import random_rows
from encoders.device import on_device
from encoders.hub.files import ModelFiles
from encoders.hub.image import last_layer
from encoders.hub.pooling import finished
from encoders.hub.towers import TEXT_PARTS, NamedClasses, has_towers, named_classes, naming, tower_output
from encoders.hub.weights import Weights, image_processor, load_weights, placed, version_of, without
from encoders.image.classes import CLASSES, ClassShares, top_shares

Frames = NDArray[np.uint8]
BATCH_FRAMES = 64


class HubVideo:
    """Key frames uint8 [k, h, w, 3] RGB, k at least 1, to float32 [n, dim].

    The model sees as many frames as it was trained with, evenly chosen or repeated.
    """

    modality = Modality.VIDEO

    def __init__(self, files: ModelFiles, weights: Weights) -> None:
        hub = files.hub
        self.name = files.name
        self._files = files
        self._frames = _frame_count(files, weights.model.config)
        self._processor = image_processor(files)
        self._pooler_is_trained = weights.pooler_is_trained
        self._classes: NamedClasses | None = None
        if has_towers(weights.model):
            self._classes = named_classes(files, weights.model)
        self._model = placed(without(weights.model, *TEXT_PARTS), files)
        self._batch = max(1, (hub.batch_cost or BATCH_FRAMES) // self._frames)
        options = (hub.pooling, hub.dimensions, hub.normalise, *naming(files, weights.model))
        self.version = version_of(files, weights, "video", *options)
        self.dim = self._vectors([np.zeros((1, 32, 32, 3), np.uint8)]).shape[1]
        if hub.dimensions > self.dim or (self._classes is not None and hub.dimensions):
            raise files.problem(f"its vectors have {self.dim} dimensions", "leave `dimensions` at 0")

    def encode(self, batch: Sequence[Frames]) -> Float32:
        """Float32 [n, dim]."""
        vectors = np.empty((len(batch), self.dim), np.float32)
        for start in range(0, len(batch), self._batch):
            vectors[start : start + self._batch] = self._vectors(batch[start : start + self._batch])
        return vectors

    def class_weights(self) -> Float32:
        """Rows that span what the model tells apart, float32 [n, dim]: class names' vectors or chance."""
        return random_rows(self.dim) if self._classes is None else self._classes.weights

    def encode_with_classes(self, batch: Sequence[Frames]) -> tuple[Float32, ClassShares | None]:
        """Vectors float32 [n, dim]; the likeliest classes where a text tower beside it tells them."""
        vectors = self.encode(batch)
        if self._classes is None:
            return vectors, None
        found = self._classes.probabilities(vectors) if len(vectors) else np.empty((0, CLASSES), np.float32)
        return vectors, top_shares(found)

    @torch.inference_mode()
    def _vectors(self, videos: Sequence[Frames]) -> Float32:
        hub, files = self._files.hub, self._files
        frames = [frame for video in videos for frame in video[_chosen(len(video), self._frames)]]
        made = self._processor(frames, return_tensors="pt", input_data_format="channels_last")
        pixels = made["pixel_values"]
        pixels = pixels.reshape(len(videos), self._frames, *pixels.shape[-3:])
        pixels = on_device(pixels, files.device, files.dtype)
        return finished(self._read(pixels), hub.dimensions, hub.normalise)

    def _read(self, pixels: torch.Tensor) -> torch.Tensor:
        if hasattr(self._model, "get_video_features"):
            return tower_output(self._model.get_video_features(pixel_values=pixels))
        pooling = "mean" if self._files.hub.pooling == "auto" else self._files.hub.pooling
        return last_layer(self._model(pixel_values=pixels), pooling, self._pooler_is_trained)


def hub_video(files: ModelFiles) -> HubVideo:
    """The encoder of videos that the model is. Raises ArtifactError where it is none, or cannot be loaded."""
    from transformers import AutoModel

    return HubVideo(files, load_weights(files, AutoModel))


def _frame_count(files: ModelFiles, config: Any) -> int:
    found = getattr(config, "num_frames", None) or getattr(
        getattr(config, "vision_config", None), "num_frames", None
    )
    if not isinstance(found, int):
        raise files.problem("it is no model of videos", "name one such as VideoMAE or X-CLIP")
    return found


def _chosen(frames: int, wanted: int) -> NDArray[np.int64]:
    """Numbers of `wanted` out of so many frames, in order, evenly spread, some twice if there are fewer."""
    return np.linspace(0, frames - 1, wanted).round().astype(np.int64)
