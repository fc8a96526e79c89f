"""Captions of pictures, by image-to-text models."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from encoders.describe.description import Described, Kind
from encoders.describe.generation import Writer
from encoders.device import on_device
from encoders.hub.files import ModelFiles
from encoders.hub.weights import image_processor, load_weights, placed, read_part, version_of

Pixels = NDArray[np.uint8]
KNOWN = ("blip", "git", "vision-encoder-decoder")
"""Model types that caption a picture without being asked a question."""
BATCH_PICTURES = 8


class Captions:
    """Images uint8 [h, w, 3] RGB to one line each. Raises ArtifactError for another kind of model."""

    kind = Kind.CAPTION

    def __init__(self, files: ModelFiles, max_new_tokens: int) -> None:
        from transformers import AutoModelForImageTextToText, AutoTokenizer

        if files.config.get("model_type") not in KNOWN:
            raise files.problem("it writes no captions", f"name a model of type {', '.join(KNOWN)}")
        weights = load_weights(files, AutoModelForImageTextToText)
        self._files = files
        self._processor = image_processor(files)
        tokenizer = read_part(files, AutoTokenizer, "tokenizer")
        self._writer = Writer(placed(weights.model, files), tokenizer, self.kind, max_new_tokens)
        self._batch = files.hub.batch_cost or BATCH_PICTURES
        self.version = version_of(files, weights, self.kind, max_new_tokens)

    def describe(self, batch: Sequence[Pixels]) -> list[Described]:
        """A caption of each image."""
        found: list[Described] = []
        for start in range(0, len(batch), self._batch):
            images = list(batch[start : start + self._batch])
            made = self._processor(images=images, return_tensors="pt", input_data_format="channels_last")
            pixels = on_device(made["pixel_values"], self._files.device, self._files.dtype)
            found.extend(self._writer.write({"pixel_values": pixels}))
        return found
