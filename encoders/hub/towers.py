"""Models of two towers, one of them for text, whose vectors lie in one space."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from encoders.base import Float32
from encoders.hub.files import ModelFiles
from encoders.hub.pooling import finished
from encoders.hub.tokens import TokenBatch, Tokens, batch_tokens
from encoders.hub.weights import placed, without
from encoders.image.classes import class_names

TEXT_PARTS = ("text_", "prompts_")
OTHER_PARTS = ("vision_", "visual_", "audio_", "mit", "prompts_")
FULL_LENGTH = ("siglip", "siglip2")
"""Trained on texts filled up to full length, without a mask."""
PROMPT = "a photo of a {}"
LARGEST_SCALE = 100.0
"""What CLIP's training keeps its logit scale below (arXiv 2103.00020)."""


def has_towers(model: Any) -> bool:
    """Whether the model has a text tower beside another one."""
    return hasattr(model, "get_text_features")


def tower_output(output: Any) -> torch.Tensor:
    """The vectors [n, d] of a tower, whichever way this version of transformers wraps them."""
    found: torch.Tensor = output if isinstance(output, torch.Tensor) else output.pooler_output
    return found


class TextTower:
    """The text tower alone; what belongs to the other one is let go."""

    def __init__(self, files: ModelFiles, model: Any) -> None:
        text = getattr(model.config, "text_config", model.config)
        full = text.max_position_embeddings if model.config.model_type in FULL_LENGTH else 0
        self._unmasked = bool(full)
        self._cost = batch_tokens(files)
        self._model = placed(without(model, *OTHER_PARTS), files)
        self.tokens = Tokens(files, text, full)

    def read(self, part: TokenBatch) -> torch.Tensor:
        """Vectors [n, d], not yet scaled."""
        mask = {} if self._unmasked else {"attention_mask": part.mask}
        return tower_output(self._model.get_text_features(input_ids=part.ids, **mask))

    @torch.inference_mode()
    def encode(self, texts: Sequence[str]) -> Float32:
        """Float32 [n, d] of unit length."""
        parts = [
            (part.rows, finished(self.read(part), 0, True)) for part in self.tokens.batches(texts, self._cost)
        ]
        vectors = np.empty((len(texts), parts[0][1].shape[1]), np.float32)
        for rows, found in parts:
            vectors[rows] = found
        return vectors


class NamedClasses:
    """Tells the classes of ImageNet by their names alone: zero-shot classification (arXiv 2103.00020)."""

    def __init__(self, tower: TextTower, scale: float) -> None:
        names = [name.partition(" (")[0] for name in class_names()]
        self.weights = tower.encode([PROMPT.format(name) for name in names])
        """Vectors of the names, float32 [classes, d], of unit length."""
        self._scale = min(scale, LARGEST_SCALE)

    def probabilities(self, vectors: Float32) -> Float32:
        """Vectors float32 [n, d] of unit length to class probabilities float32 [n, classes]."""
        logits = self._scale * (vectors @ self.weights.T)
        shares = np.exp(logits - logits.max(axis=1, keepdims=True, initial=-np.inf))
        found: Float32 = (shares / shares.sum(axis=1, keepdims=True)).astype(np.float32)
        return found


def naming(files: ModelFiles, model: Any) -> tuple[object, ...]:
    """What of the settings changes the vectors of the classes' names; nothing where it is as it comes."""
    said = (files.hub.prefix, files.hub.max_tokens)
    return said if has_towers(model) and any(said) else ()


def named_classes(files: ModelFiles, model: Any) -> NamedClasses:
    """By the text tower of the model, which is of no further use then."""
    import copy

    text_only = copy.copy(model)
    text_only._modules = dict(model._modules)
    return NamedClasses(TextTower(files, text_only), float(model.logit_scale.detach().float().exp()))
