"""A text model whose vectors gradients can go through."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from encoders.adapters.settings import AdapterPlan
from encoders.base import Float32
from encoders.hub.files import ModelFiles
from encoders.hub.sentence import sentence_shape
from encoders.hub.text import Read, reader
from encoders.hub.tokens import TokenBatch, Tokens, batch_tokens
from encoders.hub.weights import Weights


class Trainee:
    """Texts to vectors of unit length, read out of the model as serving reads them."""

    def __init__(self, files: ModelFiles, weights: Weights, plan: AdapterPlan) -> None:
        self._files = files
        self._shape = sentence_shape(files)
        self._tokens = Tokens(files, weights.model.config)
        self._tokens.longest = min(self._tokens.longest, plan.longest)
        self.model: Any = weights.model.float().requires_grad_(False).to(files.device)
        self.reading = self._shape.reading_with(files.hub.prefix)
        self.device = files.device
        self._read: Read = reader(self.model, self._shape, files.device)

    def read_by(self, model: Any) -> None:
        """From now on the vectors are those of another model around the same one."""
        self._read = reader(model, self._shape, self._files.device)

    def tensors(self, texts: Sequence[str]) -> torch.Tensor:
        """Float32 [n, d] in the order of the texts."""
        parts: list[TokenBatch] = list(self._tokens.batches(texts, batch_tokens(self._files)))
        found = torch.cat([self._read(part)[:, : self._files.hub.dimensions or None] for part in parts])
        order = torch.tensor(np.argsort([row for part in parts for row in part.rows]))
        return torch.nn.functional.normalize(found.float()[order.to(found.device)], dim=1)

    @torch.inference_mode()
    def vectors(self, texts: Sequence[str]) -> Float32:
        """The same, for figures."""
        done: Float32 = self.tensors(texts).cpu().numpy()
        return done

    def layers(self) -> list[str]:
        """Names of the linear layers that a text goes through; those behind the vectors learn nothing."""
        from transformers.pytorch_utils import Conv1D

        passed: list[str] = []
        hooks = [
            module.register_forward_hook(lambda *_, name=name: passed.append(name))
            for name, module in self.model.named_modules()
            if isinstance(module, torch.nn.Linear | Conv1D)
        ]
        self.vectors(["a"])
        for hook in hooks:
            hook.remove()
        return sorted({name for name in passed if "pooler" not in name})
