"""Texts by sentence models, language models and the text towers of two-tower models."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch

from encoders.adapters.serving import adapted
from encoders.base import Float32, Modality
from encoders.errors import ArtifactError
from encoders.hub.files import ModelFiles
from encoders.hub.pooling import finished, pooled
from encoders.hub.sentence import SentenceShape, sentence_shape
from encoders.hub.tokens import TokenBatch, Tokens, batch_tokens
from encoders.hub.towers import TextTower, has_towers
from encoders.hub.weights import Weights, load_weights, placed, version_of

CHARACTERS_A_TOKEN = 3
"""Of the scripts with letters, carefully: what a window has beyond the tokens that are read is not seen. A
sign of a dense script, Chinese for one, is a token."""

Read = Callable[[TokenBatch], torch.Tensor]


class HubText:
    """Texts to float32 [n, dim] by a model in the `transformers` format.

    A model with a text tower beside another one (CLIP, SigLIP, CLAP, X-CLIP) gives the vectors of the space
    that both share; any other one its pooled last layer. Raises ArtifactError where it cannot be loaded.
    """

    modality = Modality.TEXT
    letters_a_sign = CHARACTERS_A_TOKEN

    def __init__(self, files: ModelFiles) -> None:
        hub = files.hub
        weights = text_weights(files)
        self._read: Read
        adapter = ""
        if has_towers(weights.model):
            if hub.adapter:
                raise two_towers(files)
            tower = TextTower(files, weights.model)
            self._tokens, self._read, how = tower.tokens, tower.read, "tower"
        else:
            shape = sentence_shape(files)
            self._tokens = Tokens(files, weights.model.config)
            how = shape.reading
            model, adapter = adapted(files, weights, shape.reading_with(hub.prefix))
            self._read = reader(placed(model, files), shape, files.device)
        self.name = files.name
        self._hub = hub
        self._cost = batch_tokens(files)
        options = (how, hub.prefix, hub.dimensions, hub.normalise, self._tokens.longest)
        # Without an adapter the version is what it was before there were any.
        learned = (adapter,) if adapter else ()
        self.version = version_of(files, weights, "text", *options, *learned)
        self.window_characters = CHARACTERS_A_TOKEN * self._tokens.longest
        self.dim = self._vectors(next(self._tokens.batches(["a"], self._cost))).shape[1]
        if hub.dimensions > self.dim:
            raise files.problem(f"its vectors have {self.dim} dimensions", "make `dimensions` smaller")

    def encode(self, batch: Sequence[str]) -> Float32:
        """Float32 [n, dim]."""
        vectors = np.empty((len(batch), self.dim), np.float32)
        for part in self._tokens.batches(batch, self._cost):
            vectors[part.rows] = self._vectors(part)
        return vectors

    @torch.inference_mode()
    def _vectors(self, part: TokenBatch) -> Float32:
        return finished(self._read(part), self._hub.dimensions, self._hub.normalise)


def text_weights(files: ModelFiles) -> Weights:
    """The part of a model that reads texts. Raises as `load_weights`."""
    from transformers import AutoModel, AutoModelForTextEncoding

    encoder_decoder = files.config.get("is_encoder_decoder") or files.config.get("model_type") == "t5"
    return load_weights(files, AutoModelForTextEncoding if encoder_decoder else AutoModel, adaptable=True)


def two_towers(files: ModelFiles) -> ArtifactError:
    """The error of an adapter for a model whose texts lie in one space with pictures or sounds."""
    return files.problem(
        "its texts share a space with another modality, which an adapter of texts alone would leave",
        "use a model of texts alone with an adapter",
    )


def reader(model: Any, shape: SentenceShape, device: torch.device) -> Read:
    """Batches of tokens to sentence vectors [n, d], not yet scaled."""
    dense = shape.dense.to(device)

    def read(part: TokenBatch) -> torch.Tensor:
        hidden = model(input_ids=part.ids, attention_mask=part.mask).last_hidden_state
        found: torch.Tensor = dense(pooled(hidden, part.mask, shape.pooling))
        return found

    return read
