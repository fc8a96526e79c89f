"""Token vectors to one vector."""

from typing import Literal

import torch

from encoders.base import Float32

Pool = Literal["mean", "cls", "last", "max"]


def pooled(hidden: torch.Tensor, mask: torch.Tensor, how: Pool) -> torch.Tensor:
    """Token vectors [n, t, d] under a mask [n, t] of ones and zeros to float32 [n, d].

    `cls` is the first token, `last` the last one under the mask; every row has a token at least.
    """
    hidden = hidden.float()
    if how == "cls":
        return hidden[:, 0]
    if how == "last":
        last = (mask * torch.arange(1, mask.shape[1] + 1, device=mask.device)).argmax(dim=1)
        return hidden[torch.arange(len(hidden), device=hidden.device), last]
    wide = mask.unsqueeze(-1).float()
    if how == "max":
        return hidden.masked_fill(wide == 0, float("-inf")).amax(dim=1)
    return (hidden * wide).sum(dim=1) / wide.sum(dim=1)


def finished(vectors: torch.Tensor, dimensions: int, normalise: bool) -> Float32:
    """Float32 [n, d], cut to the leading dimensions (0 keeps all), of unit length where that is asked for."""
    cut = vectors.float()[:, : dimensions or None]
    if normalise:
        cut = torch.nn.functional.normalize(cut, dim=1)
    done: Float32 = cut.cpu().numpy()
    return done
