"""AdamW (Loshchilov and Hutter, arXiv 1711.05101) with warm-up and a limit on the slope's length.

That of torch takes longer to import than a small training takes.
"""

from collections.abc import Sequence

import msgspec
import torch
from torch import Tensor

_MEAN, _SQUARE, _SMALL = 0.9, 0.999, 1e-8


class OptimiserSettings(msgspec.Struct, frozen=True):
    """rate: of learning. decay: part of each matrix that is taken off, by rate and step. warm_up: steps until
    the rate is whole. longest: length that a slope is cut to."""

    rate: float = 2e-3
    decay: float = 0.01
    warm_up: int = 50
    longest: float = 1.0


class AdamW:
    """Moves `numbers`; those of one dimension are not drawn to zero."""

    def __init__(self, numbers: Sequence[Tensor], settings: OptimiserSettings) -> None:
        self._numbers = [each for each in numbers if each.requires_grad and each.numel()]
        self._settings = settings
        self._means = [torch.zeros_like(each) for each in self._numbers]
        self._squares = [torch.zeros_like(each) for each in self._numbers]
        self.steps = 0

    def step(self) -> None:
        """By the slopes that the numbers have, which are forgotten."""
        self.steps += 1
        moved = [at for at, number in enumerate(self._numbers) if number.grad is not None]
        slopes = [number.grad for number in self._numbers if number.grad is not None]
        if not slopes:
            return
        with torch.no_grad():
            length = torch.linalg.vector_norm(
                torch.stack([torch.linalg.vector_norm(each) for each in slopes])
            )
            factor = (self._settings.longest / (length + 1e-6)).clamp(max=1.0)
            rate = self._settings.rate * min(1.0, self.steps / max(1, self._settings.warm_up))
            for at, slope in zip(moved, slopes, strict=True):
                self._move(at, slope * factor, rate)
                self._numbers[at].grad = None

    def _move(self, at: int, slope: Tensor, rate: float) -> None:
        number, mean, square = self._numbers[at], self._means[at], self._squares[at]
        if number.dim() > 1:
            number.mul_(1 - rate * self._settings.decay)
        mean.lerp_(slope, 1 - _MEAN)
        square.mul_(_SQUARE).addcmul_(slope, slope, value=1 - _SQUARE)
        spread = (square / (1 - _SQUARE**self.steps)).sqrt_().add_(_SMALL)
        number.addcdiv_(mean, spread, value=-rate / (1 - _MEAN**self.steps))

    def state(self) -> dict[str, Tensor]:
        """What `restore` takes: all that a run rests on."""
        kept = {"steps": torch.tensor(self.steps)}
        for at, (mean, square) in enumerate(zip(self._means, self._squares, strict=True)):
            kept |= {f"mean.{at}": mean, f"square.{at}": square}
        return kept

    def restore(self, kept: dict[str, Tensor]) -> None:
        self.steps = int(kept["steps"])
        for at in range(len(self._numbers)):
            self._means[at].copy_(kept[f"mean.{at}"])
            self._squares[at].copy_(kept[f"square.{at}"])
