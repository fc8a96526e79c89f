"""One step of learning, and the state that is kept of it."""

import copy
from collections.abc import Iterator
from typing import Any, NamedTuple

import torch

from encoders.adapters.artifact import Tensors
from encoders.adapters.live import held_tensors
from encoders.adapters.settings import AdapterPlan

WARMUP = 0.1
"""Share of the steps in which the rate rises; then it falls to nothing along a line."""
LARGEST_GRADIENT = 1.0


class AdapterState(NamedTuple):
    """Numbers, and PEFT's configuration with the ranks that belong to them."""

    tensors: Tensors
    config: Any


class Learner:
    """Moves the adapter's numbers, and nothing else."""

    def __init__(self, live: Any, plan: AdapterPlan, steps: int) -> None:
        self._live = live
        self._config = live.active_peft_config
        self._moved = [each for each in live.parameters() if each.requires_grad]
        self._optimiser = torch.optim.AdamW(self._moved, lr=plan.step, weight_decay=0.01)
        warm = max(1, round(WARMUP * steps))
        self._schedule = torch.optim.lr_scheduler.LambdaLR(
            self._optimiser, lambda step: min((step + 1) / warm, (steps - step) / max(1, steps - warm))
        )
        self._adaptive = plan.kind == "adalora"
        self.steps = 0

    @property
    def is_settled(self) -> bool:
        """Whether ranks do not change any more: before, AdaLoRA has more of them than it was asked for."""
        return not self._adaptive or self.steps > self._config.total_step - self._config.tfinal

    def step(self, loss: torch.Tensor) -> float:
        """The loss, after a step against it."""
        found = float(loss.detach())
        if self._adaptive:
            loss = loss + self._config.orth_reg_weight * orthogonality(self._live)
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(self._moved, LARGEST_GRADIENT)
        self._optimiser.step()
        self._schedule.step()
        self.steps += 1
        if self._adaptive:
            self._live.base_model.update_and_allocate(self.steps)
        self._optimiser.zero_grad()
        return found

    def state(self) -> AdapterState:
        """A copy of what was learned so far."""
        tensors = held_tensors(self._live)
        config = copy.deepcopy(self._config)
        config.inference_mode = True
        # Where the model lay when this was trained says nothing of what it was: the manifest does.
        config.base_model_name_or_path = None
        if getattr(config, "target_modules", None):
            # PEFT keeps a set, whose order would differ from run to run.
            config.target_modules = sorted(config.target_modules)
        return AdapterState({name: each.detach().cpu().clone() for name, each in tensors.items()}, config)


def orthogonality(live: Any) -> torch.Tensor:
    """How far AdaLoRA's matrices are from orthogonal ones, the regulariser of arXiv 2303.10512, equation 4.

    PEFT adds it to the loss of models that have one of their own, which text encoders do not.
    """
    return torch.stack(list(_distances(live))).mean()


def _distances(live: Any) -> Iterator[torch.Tensor]:
    for name, each in live.named_parameters():
        if "lora_A" in name or "lora_B" in name:
            square = each @ each.T if "lora_A" in name else each.T @ each
            yield torch.linalg.matrix_norm(square - torch.eye(len(square), device=square.device))
